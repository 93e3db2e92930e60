import { setImmediate as turn } from 'node:timers/promises';
import { ServingError } from '../../errors.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { encodeValue } from '../../tensor/encode.ts';
import { highestOf } from '../../tensor/highest.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { scoresOf } from '../native/answer.ts';
import { predictionEncoderOf } from '../native/prediction-encoder.ts';
import { readFlag, readText, readTexts } from '../texts/fields.ts';
import { textInput } from '../texts/input.ts';
import { runTexts } from '../texts/run-texts.ts';
import { RowTexts, sendRows } from '../texts/send-rows.ts';
import { requireTask } from '../texts/task.ts';
import { readSequences, readTextOptions } from './body.ts';
import { computeFields } from './fields.ts';
import type { TextRequest } from './handler.ts';

/** `POST /predict` with `inputs`: the scores of the labels of each text or pair, the highest first. */
export async function predict({ context, body, live, recorder, computeType }: TextRequest): Promise<void> {
  const settings = requireTask(live, 'classification', 'reranking');
  const { columns, isBatch } = readSequences(body);
  const options = readTextOptions(body, settings);
  const { labels, read } = createScoreReader(live, readFlag(body, 'raw_scores'));
  const names = labels?.map((label) => JSON.stringify(label));
  const input = textInput(columns, (row) => (isBatch ? `inputs[${row}]` : 'inputs'));
  const written = new RowTexts(input.rows);
  const totals = await runTexts(live, input, options, context, recorder, (row, outputs, at) => {
    const scores = read(outputs, at);
    const predictions = highestOf(scores.data, scores.data.length).map(
      (index) => `{"score":${encodeValue(scores, index)},"label":${names?.[index] ?? `"LABEL_${index}"`}}`,
    );
    written.set(row, `[${predictions.join(',')}]`);
    return predictions.length;
  });
  const fields = computeFields(context, computeType, columns, totals);
  await sendRows(context, written, isBatch ? ['[', ']'] : ['', ''], fields);
}

/** Ranks that are written before other requests get their turn: they take about a millisecond. */
const TURN_RANKS = 1024;
/** The most characters of the query in all pairs of a request: they are tokenized once for each text, in seconds. */
const MAX_QUERY_CHARACTERS = 2 ** 22;

/** `POST /rerank`: the texts by how well they match the query, the best first. */
export async function rerank({ context, body, live, recorder, computeType }: TextRequest): Promise<void> {
  const settings = requireTask(live, 'reranking');
  const query = readText(body.query, 'query');
  const texts = readTexts(body.texts, 'texts');
  if (query.length * texts.length > MAX_QUERY_CHARACTERS) {
    const message = `query: ${query.length} characters beside ${texts.length} texts: expected at most ${MAX_QUERY_CHARACTERS} in all pairs together, send fewer texts in one request`;
    throw new ServingError('TOO_LARGE', message, { path: 'query' });
  }
  const returnsText = readFlag(body, 'return_text') ?? false;
  const options = readTextOptions(body, settings);
  const { read } = createScoreReader(live, readFlag(body, 'raw_scores'));
  const columns = [new Array<string>(texts.length).fill(query), texts];
  const input = textInput(columns, (row) => `texts[${row}]`);
  const scores = { dtype: 'float32', dims: [texts.length], data: new Float32Array(texts.length) } as const;
  const totals = await runTexts(live, input, options, context, recorder, (row, outputs, at) => {
    scores.data[row] = read(outputs, at).data[0]!;
    return 1;
  });
  const written = new RowTexts(texts.length);
  for (const [place, index] of highestOf(scores.data, texts.length).entries()) {
    const text = returnsText ? `"text":${JSON.stringify(texts[index])},` : '';
    written.set(place, `{"index":${index},${text}"score":${encodeValue(scores, index)}}`);
    if (place % TURN_RANKS === TURN_RANKS - 1) await turn();
  }
  await sendRows(context, written, ['[', ']'], computeFields(context, computeType, columns, totals));
}

/** The scores of a row, by class index. */
type ReadScores = (outputs: readonly Tensor[], at: number) => Tensor & { readonly data: Float32Array | Float64Array };

/** @param raw whether the scores are the model's own values */
function createScoreReader(
  live: Generation,
  raw: boolean | undefined,
): { readonly labels: readonly string[] | undefined; readonly read: ReadScores } {
  const { answer } = predictionEncoderOf(live);
  if (answer === undefined) {
    throw new ServingError('UNSUPPORTED', `the model ${live.name} has no scores: its main output has no row of floats`);
  }
  return {
    labels: answer.labels,
    read(outputs, at) {
      const data = scoresOf(outputs, at, answer, { raw });
      if (data.some(Number.isNaN)) throw new ServingError('MODEL_FAILED', 'the model gave NaN as a score');
      return { dtype: data instanceof Float32Array ? 'float32' : 'float64', dims: [data.length], data };
    },
  };
}
