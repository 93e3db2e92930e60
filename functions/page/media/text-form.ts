import { byId, el } from '../dom.ts';
import { Failure } from '../failure.ts';
import type { InputForm } from '../form/form.ts';
import { createLabelled } from '../form/labelled.ts';
import { type ModelInfo, type TextTask, taskOf } from '../model.ts';
import { textsIn } from './texts-in.ts';

/** The words of a field, and what is in it if the model has no example. */
interface FieldWords {
  readonly label: string;
  readonly hint: string;
  readonly typical: string;
  readonly rows: string;
}

const TEXT = { label: 'Text', hint: '', rows: '5' } as const;

/** The fields of a model of each task. */
const FIELDS: Readonly<Record<TextTask, readonly FieldWords[]>> = {
  embedding: [
    { label: 'Text', hint: '', typical: 'The cat sleeps on the sofa.', rows: '3' },
    { label: 'Compare with', hint: 'may be empty', typical: 'A kitten naps on the couch.', rows: '3' },
  ],
  classification: [{ ...TEXT, typical: 'It works well, and I would buy it again.' }],
  'token-classification': [{ ...TEXT, typical: 'Ada Lovelace worked with Charles Babbage in London.' }],
  reranking: [
    { label: 'Query', hint: '', typical: 'How is coffee made?', rows: '2' },
    {
      label: 'Texts',
      hint: 'one on each line',
      typical: 'The train leaves at nine.\nGround beans are brewed with hot water.\nTea leaves are dried in the sun.',
      rows: '6',
    },
  ],
};
const PLAIN: readonly FieldWords[] = [{ ...TEXT, typical: 'The cat sleeps on the sofa.' }];

/**
 * Creates the form of a model of texts, with the example filled in: two texts for embeddings, which are compared; a query and several
 * texts for reranking. The `features` of its links have `["…","…"]` for the former, and `{"text":"…","text_pair":["…"]}` for the latter.
 */
export function createTextForm(model: ModelInfo): InputForm {
  const task = taskOf(model);
  const words = task === undefined ? PLAIN : FIELDS[task];
  const fields = words.map(({ label, hint, rows }, i) => {
    const main = el('textarea', { id: `text-${i}`, class: 'prose', rows });
    return { main, ...createLabelled({ id: main.id, label, hint, main, element: main }) };
  });
  const [first, second] = fields.map(({ main }) => main) as [HTMLTextAreaElement, HTMLTextAreaElement?];

  function textOf(main: HTMLTextAreaElement, path: string): string {
    if (main.value.trim() !== '') return main.value;
    const label = words[main === first ? 0 : 1]!.label;
    throw new Failure('There is no text yet.', { detail: `${label}: it is empty`, path });
  }

  /** The first text, and the others: those that it is compared with. */
  function read(): { text: string; others: string[] } {
    const text = textOf(first, 'features.text');
    if (second === undefined || (task === 'embedding' && second.value.trim() === '')) return { text, others: [] };
    const given = textOf(second, 'features.text_pair');
    return { text, others: task === 'embedding' ? [given] : linesOf(given) };
  }

  function clearMarks(): void {
    for (const { main, note } of fields) {
      main.removeAttribute('aria-invalid');
      note.textContent = '';
    }
  }

  function fill(features: unknown): void {
    const [text, others] = textsIn(features);
    first.value = text ?? words[0]!.typical;
    if (second !== undefined) second.value = text === undefined ? words[1]!.typical : joinTexts(others, task);
    clearMarks();
  }

  byId('dtype').textContent = '';
  byId('fields').replaceChildren(...fields.map(({ element }) => element));
  fill(model.example?.features);
  return {
    features() {
      const { text, others } = read();
      if (task === 'reranking') return JSON.stringify({ text, text_pair: others });
      return JSON.stringify(others.length === 0 ? text : [text, ...others]);
    },
    sent() {
      const { text, others } = read();
      if (task === 'reranking') return { kind: 'rows', rows: others.map((pair) => pairOf(model, text, pair)) };
      if (others.length === 0) return { kind: 'row', features: JSON.stringify(text) };
      return { kind: 'rows', rows: [text, ...others].map((one) => JSON.stringify(one)) };
    },
    fill,
    mark({ path, detail, message, code }) {
      if (path === undefined && code !== 'INVALID_INPUT') return undefined;
      const at = second !== undefined && path?.includes('text_pair') ? 1 : 0;
      const { main, note } = fields[at]!;
      const text = (detail || message).replace(/^features(\.\w+)?: /, `${words[at]!.label}: `);
      note.textContent = text;
      main.setAttribute('aria-invalid', 'true');
      main.focus();
      return text;
    },
    clearMarks,
  };
}

const pairOf = ({ inputs }: ModelInfo, text: string, pair: string): string =>
  JSON.stringify({ [inputs[0]!.name]: text, [inputs[1]!.name]: pair });

/** The lines of a text that have something on them. */
const linesOf = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');

const joinTexts = (texts: readonly string[], task: TextTask | undefined): string =>
  task === 'reranking' ? texts.map((text) => text.replace(/\s*\n\s*/g, ' ')).join('\n') : texts.join('\n');
