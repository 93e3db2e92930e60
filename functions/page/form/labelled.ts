import { breakable, el } from '../dom.ts';

/** A control with its label, what it takes, and the place of its error. */
export interface Labelled {
  readonly element: HTMLElement;
  /** What it takes. */
  readonly hint: HTMLElement;
  /** Its error; empty if there is none. */
  readonly note: HTMLElement;
}

interface LabelledOptions {
  readonly id: string;
  readonly label: string;
  readonly hint: string;
  /** The part that has the id, and gets the label and the description. */
  readonly main: HTMLElement;
  /** All of the control. */
  readonly element: HTMLElement;
}

/** Puts the label and the hint above a control, and the place of its error below it. */
export function createLabelled({ id, label, hint: words, main, element }: LabelledOptions): Labelled {
  const note = el('p', { class: 'field-error', id: `${id}-error` });
  const hint = el('span', { class: 'hint', id: `${id}-hint` }, words);
  main.setAttribute('aria-describedby', `${id}-hint ${id}-error`);
  const name = el('label', { for: id, title: label }, ...breakable(label));
  return {
    element: el('div', { class: 'field' }, el('div', { class: 'label' }, name, hint), element, note),
    hint,
    note,
  };
}
