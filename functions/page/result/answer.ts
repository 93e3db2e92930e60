import { el } from '../dom.ts';
import { parseJson } from '../json.ts';
import type { Received, Sent } from '../media/sent.ts';
import { type ModelInfo, type Prediction, taskOf } from '../model.ts';
import { count, cut } from '../text.ts';
import { showBars } from './bars.ts';
import { type Entity, segmentsOf } from './entities.ts';
import { lengthsOf } from './lengths.ts';
import { showDuration, showHead, showLengths, showPrediction, showResponse } from './result.ts';
import { numberOf } from './scores.ts';
import { cosineOf } from './similarity.ts';
import { plainOf, shortNumber, titleOf } from './words.ts';

/** An answer on the page. */
interface Answer {
  /** In a few words. */
  readonly title: string;
  readonly nodes: readonly Node[];
}

/** Characters of a text in a list of results. */
const LONGEST = 300;
/** Values of an embedding that are shown. */
const FIRST = 8;

/** Shows what the model answered to what a form sent: as its task needs it, or by its outputs. */
export function showAnswer(model: ModelInfo, sent: Sent, received: Received, milliseconds: number): Answer {
  const { predictions, text } = received;
  const task = taskOf(model);
  const own =
    task === 'embedding'
      ? showEmbeddings(predictions)
      : task === 'reranking' && sent.kind === 'rows'
        ? showRanking(model, sent.rows, predictions)
        : task === 'token-classification' && sent.kind === 'row'
          ? showEntities(String(parseJson(sent.features)), predictions[0]!)
          : undefined;
  if (own === undefined) {
    const nodes = showPrediction(model, predictions[0]!, { milliseconds, text });
    return { title: titleOf(model, predictions[0]!), nodes };
  }
  const { title, nodes } = own;
  const head = [showHead(title), showDuration(milliseconds), ...showLengths(lengthsOf(model, predictions))];
  return { title, nodes: [...head, ...nodes, showResponse(text)] };
}

/** The numbers of an embedding; undefined if the prediction is none. */
function vectorOf({ prediction }: Prediction): number[] | undefined {
  const values = Array.isArray(prediction) ? prediction.map(numberOf) : [];
  return values.length === 0 || values.includes(undefined) ? undefined : (values as number[]);
}

/** One embedding, or two with their similarity: the number of values, and the first of them. */
function showEmbeddings(predictions: readonly Prediction[]): Answer | undefined {
  const vectors = predictions.map(vectorOf);
  if (vectors.includes(undefined)) return undefined;
  const [a, b] = vectors as number[][];
  const first = (vectors as number[][]).flatMap((vector, i) => [
    el('dt', {}, vectors.length === 1 ? 'First values' : `Text ${i + 1}`),
    el('dd', {}, `${vector.slice(0, FIRST).map(shortNumber).join(', ')}${vector.length > FIRST ? ', …' : ''}`),
  ]);
  const values = el('dl', {}, el('dt', {}, 'Dimensions'), el('dd', {}, count(a!.length)), ...first);
  if (b === undefined) return { title: `${count(a!.length)} dimensions`, nodes: [values] };
  const cosine = cosineOf(a!, b);
  const name = 'Cosine similarity';
  const bar = { output: name, areShares: false, scores: [{ name, value: cosine }], low: Math.min(0, cosine), high: 1 };
  return { title: cosine.toFixed(3), nodes: [el('h3', {}, name), showBars(bar), values] };
}

/** Texts by the score that each has for the query, the highest first. @param rows the JSON of each pair */
function showRanking({ inputs }: ModelInfo, rows: readonly string[], predictions: readonly Prediction[]): Answer {
  const name = inputs[1]!.name;
  const scores = predictions.map(({ prediction, scores: best }, i) => {
    const text = String((parseJson(rows[i]!) as Record<string, unknown>)[name]);
    const value = numberOf(plainOf(prediction)) ?? numberOf(best?.[0]?.score) ?? Number.NaN;
    const label = best === undefined ? '' : `${best[0]?.label ?? 'no label'}: `;
    return { name: cut(label + text, LONGEST), value };
  });
  scores.sort((a, b) => (Number.isNaN(a.value) ? 1 : Number.isNaN(b.value) ? -1 : b.value - a.value));
  const values = scores.map(({ value }) => value).filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const areUnit = low === 0 && high <= 1;
  const bars = {
    output: 'Texts by their score',
    areShares: false,
    scores,
    low,
    high: areUnit || high === low ? 1 : high,
  };
  return { title: scores[0]!.name, nodes: [el('h3', {}, bars.output), showBars(bars)] };
}

/** The text with its entities marked, and their scores. */
function showEntities(text: string, { outputs }: Prediction): Answer | undefined {
  const given = plainOf(outputs.entities);
  const entities = (typeof given === 'string' ? parseJson(given) : outputs.entities) as readonly Entity[] | undefined;
  if (!Array.isArray(entities)) return undefined;
  const parts = segmentsOf(text, entities).map(({ text: part, entity }) =>
    entity === undefined ? part : el('mark', {}, part, el('span', { class: 'tag' }, entity.label)),
  );
  const scores = entities.map(({ word, label, score }) => ({ name: `${word} (${label})`, value: score }));
  const bars = { output: 'Scores', areShares: false, arePercent: true, scores, low: 0, high: 1 };
  const found = `${count(entities.length)} ${entities.length === 1 ? 'entity' : 'entities'}`;
  return {
    title: entities.length === 0 ? 'No entities' : found,
    nodes: [
      el('p', { class: 'marked' }, ...parts),
      ...(scores.length === 0 ? [] : [el('h3', {}, bars.output), showBars(bars)]),
    ],
  };
}
