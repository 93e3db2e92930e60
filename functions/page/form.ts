import { byId, el } from './dom.ts';
import { Failure } from './failure.ts';
import { type Field, type Group, joinInputs, type ModelInfo, nest, planFields, textsOf, tokenOf } from './fields.ts';

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** The form of a model's inputs. */
export interface InputForm {
  /** The body of `/predict` with the values of the fields. @throws Failure with the path of a field whose value is invalid. */
  body(): string;
  /** Puts the features of a body into the fields. */
  fill(features: unknown): void;
  /** Shows a failure at its field, which gets the focus; false if the failure belongs to no field. */
  mark(failure: Failure): boolean;
  /** Removes all failures from the fields. */
  clearMarks(): void;
}

/** Creates the form of a model's inputs on the page, with the example filled in. */
export function createForm(model: ModelInfo): InputForm {
  const groups = planFields(model);
  const controls: Control[][] = [];
  byId('fields').replaceChildren(
    ...groups.map((group, i) => {
      const made = group.fields.map((field, j) => makeField(field, group, `field-${i}-${j}`));
      controls.push(made.map(({ control }) => control));
      const items = made.map(({ item }) => item);
      if (groups.length > 1 && items.length > 1)
        return el('fieldset', {}, el('legend', {}, group.spec.name), el('div', { class: 'grid' }, ...items));
      return el('div', { class: items.length > 1 ? 'grid' : '' }, ...items);
    }),
  );

  const each = (): { field: Field; control: Control }[] =>
    groups.flatMap(({ fields }, i) => fields.map((field, j) => ({ field, control: controls[i]![j]! })));

  function fill(features: unknown): void {
    for (const [i, texts] of textsOf(model, groups, features).entries()) {
      for (const [j, text] of texts.entries()) controls[i]![j]!.value = text;
    }
    clearMarks();
  }

  function clearMarks(): void {
    for (const { control } of each()) {
      control.removeAttribute('aria-invalid');
      control.removeAttribute('aria-describedby');
      byId(`${control.id}-error`).textContent = '';
    }
  }

  fill(model.example?.features);
  return {
    body() {
      const texts = groups.map(({ fields, shape }, i) => {
        const tokens = fields.map((field, j) => read(field, controls[i]![j]!.value));
        return fields[0]?.kind === 'json' ? tokens[0]! : nest(tokens, shape);
      });
      return `{"features":${joinInputs(model.inputs, texts)}}`;
    },
    fill,
    mark({ path, detail, message }) {
      if (path === undefined) return false;
      const meant = each().find(({ field }) => path === field.path || isWithin(path, field.path));
      if (meant === undefined) return false;
      const { control } = meant;
      const note = byId(`${control.id}-error`);
      note.textContent = detail || message;
      control.setAttribute('aria-invalid', 'true');
      control.setAttribute('aria-describedby', note.id);
      control.focus();
      return true;
    },
    clearMarks,
  };
}

const isWithin = (path: string, base: string): boolean =>
  path.startsWith(base) && /^[.[]/.test(path.slice(base.length));

function read({ kind, dtype, path, label }: Field, typed: string): string {
  if (kind === 'json') {
    try {
      JSON.parse(typed);
      return typed.replace(/\s*\n\s*/g, ' ').trim();
    } catch (error) {
      throw new Failure(`${label} is not JSON.`, `This is not JSON: ${(error as Error).message}`, path);
    }
  }
  const token = tokenOf(dtype, typed);
  if (token !== undefined) return token;
  const expected = dtype.startsWith('float') ? 'a number, such as 0.5' : 'an integer';
  throw new Failure(`${label} is not a number.`, `Give ${expected}.`, path);
}

function makeField(field: Field, { spec, shape }: Group, id: string): { item: HTMLElement; control: Control } {
  const { label, kind, dtype } = field;
  const hint = kind === 'json' ? `${dtype} ${shapeText(shape)}, as JSON` : dtype;
  const control = makeControl(field, id);
  const item = el(
    'div',
    { class: kind === 'json' ? 'field wide' : 'field' },
    el('label', { for: id, title: `${spec.name}, ${dtype}` }, label, el('span', { class: 'hint' }, ` ${hint}`)),
    control,
    el('p', { class: 'field-error', id: `${id}-error` }),
  );
  return { item, control };
}

function makeControl({ kind, dtype }: Field, id: string): Control {
  const common = { id, name: id, autocomplete: 'off', spellcheck: 'false' };
  if (kind === 'json') return el('textarea', { ...common, rows: '6' });
  if (kind === 'bool') return el('select', { id }, el('option', {}, 'true'), el('option', {}, 'false'));
  const inputmode = kind === 'text' ? 'text' : dtype.startsWith('float') ? 'decimal' : 'numeric';
  return el('input', { ...common, type: 'text', inputmode });
}

const shapeText = (shape: readonly number[]): string =>
  `[${shape.map((dim) => (dim === -1 ? 'any' : dim)).join(', ')}]`;
