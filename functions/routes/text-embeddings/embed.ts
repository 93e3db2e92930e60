import { encodeFlat } from '../../tensor/encode.ts';
import { createEmbeddingReader } from '../texts/embeddings.ts';
import { readCount, readFlag, readText, readTexts, requireObject } from '../texts/fields.ts';
import { readInput, textInput } from '../texts/input.ts';
import { runTexts } from '../texts/run-texts.ts';
import { RowTexts, sendRows } from '../texts/send-rows.ts';
import { requireTask } from '../texts/task.ts';
import { readTextOptions } from './body.ts';
import { computeFields } from './fields.ts';
import type { TextRequest } from './handler.ts';

/** `POST /embed`: an embedding for each text, as arrays of numbers. */
export async function embed({ context, body, live, recorder, computeType }: TextRequest): Promise<void> {
  const settings = requireTask(live, 'embedding');
  const normalize = readFlag(body, 'normalize') ?? true;
  const read = createEmbeddingReader(live, settings, { dimensions: readCount(body, 'dimensions'), normalize });
  const options = { ...readTextOptions(body, settings), normalize };
  const limits = { maxLength: settings.maxLength.value, truncate: options.truncate };
  const input = readInput(body.inputs, 'inputs', limits);
  const written = new RowTexts(input.rows);
  const totals = await runTexts(live, input, options, context, recorder, (row, outputs, at) => {
    const data = read(outputs, at);
    written.set(row, encodeFlat({ dtype: 'float32', dims: [data.length], data }));
    return data.length;
  });
  await sendRows(context, written, ['[', ']'], computeFields(context, computeType, input.columns, totals));
}

/** `POST /similarity`: the cosine of the angle between the embeddings of one sentence and of others. */
export async function similarity({ context, body, live, recorder, computeType }: TextRequest): Promise<void> {
  const settings = requireTask(live, 'embedding');
  const inputs = requireObject(body.inputs, 'inputs');
  const source = readText(inputs.source_sentence, 'inputs.source_sentence');
  const sentences = readTexts(inputs.sentences, 'inputs.sentences');
  const parameters = body.parameters ?? undefined;
  const options =
    parameters === undefined ? {} : readTextOptions(requireObject(parameters, 'parameters'), settings, 'parameters.');
  const input = textInput([[source, ...sentences]], (row) =>
    row === 0 ? 'inputs.source_sentence' : `inputs.sentences[${row - 1}]`,
  );
  const read = createEmbeddingReader(live, settings, { dimensions: undefined, normalize: true });
  const embeddings = new Array<Float32Array>(sentences.length + 1);
  const normalized = { ...options, normalize: true };
  const totals = await runTexts(live, input, normalized, context, recorder, (row, outputs, at) => {
    embeddings[row] = read(outputs, at);
    return embeddings[row].length;
  });
  const cosines = Float32Array.from(sentences, (_, i) => dot(embeddings[0]!, embeddings[i + 1]!));
  const written = new RowTexts(1);
  written.set(0, encodeFlat({ dtype: 'float32', dims: [cosines.length], data: cosines }));
  await sendRows(context, written, ['', ''], computeFields(context, computeType, input.columns, totals));
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
