import { el } from '../dom.ts';
import { Failure } from '../failure.ts';
import { toJson } from '../json.ts';
import { rowShapeOf, sizeOf } from '../model.ts';
import { pictureOf } from '../picture.ts';
import { bytesText, cut } from '../text.ts';
import { type Field, reasonFor, tokenOf } from './fields.ts';
import { fromJson, fromNpy, type LargeValue, typicalElement, typicalShape, typicalValue } from './tensor.ts';

/** An element of the form that holds the value of a field. */
export interface Control {
  /** All of it. */
  readonly element: HTMLElement;
  /** The part that gets the focus, the label and the description. */
  readonly main: HTMLElement;
  /** The JSON of its value. @throws Failure with the field's path if it is invalid. */
  read(): string;
  /** Puts a value of a JSON text in; undefined for a typical one. */
  write(value: unknown): void;
}

/** Creates the control of a field. @param onChange called when it changes in a way of which the form gets no event. */
export function createControl(field: Field, id: string, onChange: () => void): Control {
  if (field.kind === 'tensor') return createTensorControl(field, id, onChange);
  if (field.kind === 'category') return createChoice(field, id);
  if (field.kind === 'bool')
    return createText(field, el('select', { id }, el('option', {}, 'false'), el('option', {}, 'true')));
  const { dtype } = field.spec;
  const isFloat = dtype.startsWith('float');
  const inputmode = field.kind === 'text' ? 'text' : isFloat ? 'decimal' : 'numeric';
  const placeholder = isFloat ? 'missing' : undefined;
  return createText(field, el('input', { ...typed(id), type: 'text', inputmode, placeholder }));
}

const typed = (id: string) => ({ id, autocomplete: 'off', spellcheck: 'false' });

function createText(field: Field, main: HTMLInputElement | HTMLSelectElement): Control {
  const { dtype } = field.spec;
  return {
    element: main,
    main,
    read() {
      const token = tokenOf(dtype, main.value);
      if (token !== undefined) return token;
      throw invalid(field, reasonFor(dtype, main.value));
    },
    write(value) {
      main.value = value === undefined || value === null ? JSON.parse(typicalElement(field.spec)) : String(value);
    },
  };
}

const invalid = (field: Field, reason: string): Failure =>
  new Failure('The model does not take this input.', { detail: `${field.label}: ${reason}`, path: field.path });

/** A drop-down. Its options hold JSON, so that no digit is lost; a value that is none of them becomes one. */
function createChoice({ spec, categories = [] }: Field, id: string): Control {
  const main = el('select', { id });
  const option = (value: unknown, name = String(value)): HTMLOptionElement =>
    el('option', { value: toJson(value) }, name);
  main.append(...categories.map((value) => option(value)));
  if (spec.dtype.startsWith('float')) main.append(option('NaN', 'missing'));
  return {
    element: main,
    main,
    read: () => main.value,
    write(value) {
      const wanted = value === undefined ? toJson(categories[0]) : toJson(value);
      if (![...main.options].some((one) => one.value === wanted)) main.append(option(value));
      main.value = wanted;
    },
  };
}

/** Most elements of a value that is shown as text. */
const MOST_SHOWN = 2000;
/** Most bytes of a file. */
const MOST_BYTES = 2 ** 28;

/** A field for JSON, with a button for a file. A large value is not put into the field, but shown by its shape, and as a picture. */
function createTensorControl(field: Field, id: string, onChange: () => void): Control {
  const { spec, label } = field;
  const text = el('textarea', { ...typed(id), rows: rowShapeOf(spec).length > 1 ? '6' : '2' });
  const file = el('input', { type: 'file', class: 'hidden', id: `${id}-file`, accept: '.npy,.json,application/json' });
  const title = el('p');
  const picture = el('div');
  const remove = el('button', { type: 'button', class: 'quiet' }, 'Type it instead');
  const shown = el('div', { class: 'loaded', tabindex: '-1' }, picture, el('div', {}, title, remove));
  const choose = el(
    'label',
    { class: 'button', for: file.id },
    'Load a file',
    el('span', { class: 'hidden' }, ` for ${label}`),
  );
  const problem = el('p', { class: 'field-error', role: 'alert' });
  const hint = el('span', { class: 'hint' }, '.npy or .json');
  let large: LargeValue | undefined;
  /** The JSON of it: it is asked for at every change of the form. */
  let json: string | undefined;

  function show(next: LargeValue | undefined): void {
    large = next;
    json = undefined;
    text.hidden = next !== undefined;
    shown.hidden = next === undefined;
    title.textContent = next?.title ?? '';
    const drawn = next && pictureOf(next.shape, next.at, next.title);
    picture.replaceChildren(...(drawn === undefined ? [] : [drawn]));
    problem.textContent = '';
  }

  async function load(chosen: File): Promise<void> {
    try {
      if (chosen.size > MOST_BYTES) throw new Error(`The file has ${bytesText(chosen.size)}.`);
      const name = cut(chosen.name, 60);
      const bytes = new Uint8Array(await chosen.arrayBuffer());
      const value =
        bytes[0] === 0x93 ? fromNpy(spec, name, bytes) : fromJson(spec, name, new TextDecoder().decode(bytes));
      show(typeof value === 'string' ? undefined : value);
      if (typeof value === 'string') text.value = value;
      onChange();
    } catch (error) {
      problem.textContent = (error as Error).message;
    }
  }

  file.addEventListener('change', () => {
    const [chosen] = file.files ?? [];
    if (chosen !== undefined) void load(chosen);
    // The same file may be chosen again.
    file.value = '';
  });
  remove.addEventListener('click', () => {
    show(undefined);
    text.focus();
    onChange();
  });
  show(undefined);
  return {
    element: el('div', {}, text, shown, el('div', { class: 'file-row' }, file, choose, hint), problem),
    main: text,
    read() {
      try {
        if (large !== undefined) {
          json ??= large.json();
          return json;
        }
        JSON.parse(text.value);
      } catch (error) {
        throw invalid(field, `this is not JSON: ${(error as Error).message}`);
      }
      return text.value.replace(/\s*\n\s*/g, ' ').trim();
    },
    write(value) {
      const isLarge = value === undefined && !spec.anyRank && sizeOf(typicalShape(spec)) > MOST_SHOWN;
      show(isLarge ? typicalValue(spec) : undefined);
      if (!isLarge) text.value = value === undefined ? typicalValue(spec).json() : toJson(value);
    },
  };
}
