import { byId, el } from '../dom.ts';
import type { Failure } from '../failure.ts';
import type { Sent } from '../media/sent.ts';
import type { ModelInfo } from '../model.ts';
import { type Control, createControl } from './control.ts';
import { type Field, hintOf, inWords, isAt, joinInputs, nest, planFields, valuesOf } from './fields.ts';
import { createLabelled, type Labelled } from './labelled.ts';

/** The form of a model's inputs. */
export interface InputForm {
  /** The `features` of a body, as JSON. @throws Failure with the path of a field whose value is invalid. */
  features(): string;
  /** What is sent to be predicted. @throws as `features` */
  sent(): Sent;
  /** Puts the features of a body into the fields; undefined for typical values. */
  fill(features: unknown): void;
  /** Shows a failure at its field, which gets the focus. @returns the failure's text in the field's name; undefined if it is of no field. */
  mark(failure: Failure): string | undefined;
  /** Removes all failures from the fields. */
  clearMarks(): void;
}

interface Item extends Labelled {
  readonly field: Field;
  readonly control: Control;
}

/** The number of fields from which on they can be searched. */
const MANY = 24;

/** Creates the form of a model's inputs on the page, with the example filled in. @param onChange called when a value has changed. */
export function createForm(model: ModelInfo, onChange: () => void): InputForm {
  const groups = planFields(model);
  const made = groups.map(({ fields }, i) => fields.map((field, j) => createItem(field, `field-${i}-${j}`, onChange)));
  const all = made.flat();
  showDtype(all);
  byId('fields').replaceChildren(
    ...(all.length >= MANY ? [createSearch(all)] : []),
    ...arrange(
      groups.map(({ spec }) => spec.name),
      made,
    ),
  );

  function fill(features: unknown): void {
    for (const [i, values] of valuesOf(model, groups, features).entries()) {
      for (const [j, value] of values.entries()) made[i]![j]!.control.write(value);
    }
    clearMarks();
  }

  function clearMarks(): void {
    for (const { control, note } of all) {
      control.main.removeAttribute('aria-invalid');
      note.textContent = '';
    }
  }

  function features(): string {
    const texts = groups.map(({ fields, shape }, i) => {
      const tokens = made[i]!.map(({ control }) => control.read());
      return fields[0]?.kind === 'tensor' ? tokens[0]! : nest(tokens, shape);
    });
    return joinInputs(model.inputs, texts);
  }

  fill(model.example?.features);
  return {
    features,
    sent: () => ({ kind: 'row', features: features() }),
    fill,
    mark({ path, detail, message }) {
      const meant = path === undefined ? undefined : all.find(({ field }) => isAt(path, field.path));
      if (meant === undefined) return undefined;
      const words = inWords(detail || message, meant.field);
      meant.element.hidden = false;
      meant.note.textContent = words;
      meant.control.main.setAttribute('aria-invalid', 'true');
      meant.control.main.focus();
      return words;
    },
    clearMarks,
  };
}

/** Fields of one dtype have it in the heading alone; screen readers find it at each field. */
function showDtype(items: readonly Item[]): void {
  const hints = new Set(items.map(({ field }) => hintOf(field)));
  const only = items.length > 1 && hints.size === 1 ? [...hints][0]! : '';
  byId('dtype').textContent = only;
  if (only === '') return;
  for (const { hint } of items) hint.classList.add('hidden');
}

/** Single fields of several inputs share a grid; several fields of one of several inputs have a frame with its name. */
function arrange(names: readonly string[], made: readonly (readonly Item[])[]): HTMLElement[] {
  const parts: HTMLElement[] = [];
  let grid: HTMLElement | undefined;
  for (const [i, items] of made.entries()) {
    const elements = items.map(({ element }) => element);
    if (made.length > 1 && items.length > 1) {
      const legend = el('legend', {}, names[i]!);
      parts.push(el('fieldset', {}, legend, el('div', { class: 'grid' }, ...elements)));
      grid = undefined;
    } else if (items[0]?.field.kind === 'tensor') {
      parts.push(...elements);
      grid = undefined;
    } else {
      if (grid === undefined) {
        grid = el('div', { class: 'grid' });
        parts.push(grid);
      }
      grid.append(...elements);
    }
  }
  return parts;
}

function createItem(field: Field, id: string, onChange: () => void): Item {
  const control = createControl(field, id, onChange);
  const { main, element } = control;
  return { field, control, ...createLabelled({ id, label: field.label, hint: hintOf(field), main, element }) };
}

function createSearch(items: readonly Item[]): HTMLElement {
  const input = el('input', { type: 'search', id: 'search', autocomplete: 'off', placeholder: 'part of a name' });
  const found = el('span', { class: 'hint', role: 'status' });
  input.addEventListener('input', (event) => {
    event.stopPropagation();
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const { field, element } of items) {
      element.hidden = !field.label.toLowerCase().includes(wanted);
      if (!element.hidden) shown++;
    }
    found.textContent = wanted === '' ? '' : `${shown} of ${items.length}`;
  });
  // It is in the form, which Enter would send.
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') event.preventDefault();
  });
  const label = el(
    'div',
    { class: 'label' },
    el('label', { for: 'search' }, `Find one of ${items.length} fields`),
    found,
  );
  return el('div', { class: 'field search' }, label, input);
}
