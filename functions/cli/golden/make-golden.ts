import { readRowIndependence } from '../../batching/read-row-independence.ts';
import { type Feeds, joinRows } from '../../engine/batch-rows.ts';
import { ServingError } from '../../errors.ts';
import { parseGolden, TEXT_BYTES } from '../../model/folder/manifest.ts';
import { createRowDecoder, type RowForm } from '../../model/folder/rows.ts';
import { mayBatch } from '../../model/serving/batching-decision.ts';
import { checkGolden } from '../../model/serving/golden.ts';
import { checkManifest } from '../../model/serving/manifest-check.ts';
import { plainFeatures } from '../../routes/openapi/example.ts';
import { encodeNested, encodeRow } from '../../tensor/encode.ts';
import type { Signature, Tensor } from '../../tensor/tensor.ts';
import { type MeasuredEngine, openEngine } from '../measure/engine.ts';
import type { LocalModel } from '../samples/local-model.ts';
import { readSamples, type Sample } from '../samples/samples.ts';
import { type Answers, answerRows } from './answer-rows.ts';

/** The model, the samples, and which of their rows become golden rows. */
export interface GoldenOptions {
  readonly model: LocalModel;
  /** The file of samples. */
  readonly samples: string;
  /** The most rows, which are spread evenly over the file. */
  readonly rows: number;
  /** See `tolerance` of golden.json. */
  readonly tolerance: number;
  /** Called with the rows that the model has answered, and their number. */
  readonly onRow: (done: number, total: number) => void;
  readonly signal: AbortSignal;
}

/** A golden.json that the server accepts for the model. */
export interface MadeGolden {
  readonly text: string;
  /** The number of its rows. */
  readonly rows: number;
  /** The number of rows in the file of samples. */
  readonly of: number;
  readonly outputs: readonly {
    readonly name: string;
    readonly dtype: string;
    /** The largest difference between runs, relative to values above 1. */
    readonly alone: number;
    /** The same between a row alone and joined with others; undefined if rows are not joined. */
    readonly joined: number | undefined;
  }[];
}

/** The most rows that are read of a file of samples. */
const MOST_READ = 100_000;

/**
 * Makes golden.json: the rows, and what the model itself answers, in an engine process of the server. The result is checked as the
 * server checks it.
 * @throws ServingError `MODEL_FAILED` if the model does not load, does not run a row, or does not give the same for it each time;
 * `INVALID_INPUT` for rows that it does not take, and if golden.json would be too large; `UNSUPPORTED` if callers do not send tensors
 */
export async function makeGolden(options: GoldenOptions): Promise<MadeGolden> {
  const { place, preparation } = options.model;
  if (preparation !== undefined) {
    const message = `${place}: its inputs are made from what callers send, and golden makes rows of tensors: write golden.json with the answers of a server, rows[].features and rows[].outputs`;
    throw new ServingError('UNSUPPORTED', message);
  }
  const engine = await openEngine({ path: options.model.path, signal: options.signal });
  try {
    return await makeWith(engine, options);
  } finally {
    await engine.close();
  }
}

async function makeWith({ loaded, run }: MeasuredEngine, options: GoldenOptions): Promise<MadeGolden> {
  const { model, tolerance, onRow } = options;
  const { signature } = loaded;
  checkManifest(model.manifest, signature);
  const { form, joinsRows } = rowsOf(model, signature);
  const all = [...readSamples(options.samples, form, MOST_READ)];
  const samples = spreadOver(all, options.rows);
  const answers = await answerRows(samples, run, joinsRows, (done) => onRow(done, samples.length));
  refuseRandom(signature, answers, tolerance);
  const text = write(signature, samples, answers, tolerance);
  const most = TEXT_BYTES['golden.json']!;
  const bytes = Buffer.byteLength(text);
  if (bytes > most) {
    const message = `golden.json would have ${bytes} bytes, and may have ${most}: give a smaller --count`;
    throw new ServingError('INVALID_INPUT', message);
  }
  const decoder = createRowDecoder(form.signature, form.names, form.joinsRows);
  const runRow = (feeds: Feeds): Promise<readonly Tensor[]> => run(joinRows([{ feeds, first: 0, rows: 1 }]));
  await checkGolden(parseGolden(text, 'golden.json'), signature, decoder, runRow);
  const outputs = signature.outputs.map(({ name, dtype }, i) => {
    return { name, dtype, alone: answers.alone[i]!, joined: answers.joined?.[i] };
  });
  return { text, rows: samples.length, of: all.length, outputs };
}

/** The form of the rows while the server checks golden rows, and whether it joins them for certain. */
function rowsOf({ path, manifest: { batching, input } }: LocalModel, signature: Signature) {
  const graph = readRowIndependence(path);
  const mayJoin = mayBatch({ signature, manifest: batching, graph });
  const form: RowForm = { signature, names: input?.features, joinsRows: mayJoin };
  return { form, joinsRows: mayJoin && (batching ?? graph.verdict === 'proved') };
}

/** As many samples as are wanted, from the first to the last at equal distances: files are often sorted. */
function spreadOver(samples: readonly Sample[], rows: number): Sample[] {
  if (samples.length <= rows) return [...samples];
  const step = rows === 1 ? 0 : (samples.length - 1) / (rows - 1);
  return Array.from({ length: rows }, (_, i) => samples[Math.round(i * step)]!);
}

function refuseRandom({ outputs }: Signature, { alone }: Answers, tolerance: number): void {
  const at = alone.findIndex((by) => by > tolerance);
  if (at === -1) return;
  const by = Number.isFinite(alone[at]!) ? `by up to ${alone[at]!.toPrecision(3)}, the tolerance is ${tolerance}` : '';
  throw new ServingError(
    'MODEL_FAILED',
    `the model is not deterministic: output ${outputs[at]!.name} of the same row differs from run to run${by && ` ${by}`}. Golden rows need equal results: export it without random operators, such as a Dropout in training mode`,
  );
}

function write(
  { inputs, outputs }: Signature,
  samples: readonly Sample[],
  answers: Answers,
  tolerance: number,
): string {
  const lines = samples.map(({ features, feeds }, row) => {
    const values = outputs.map(({ name }, i) => {
      const tensor = answers.outputs[row]![i]!;
      const isRow = feeds.isRow && tensor.dims[0] === 1;
      return `${JSON.stringify(name)}:${isRow ? encodeRow(tensor, 0) : encodeNested(tensor)}`;
    });
    const given = JSON.stringify(plainFeatures({ inputs, outputs }, features));
    return `    {"features":${given},"outputs":{${values.join()}}}`;
  });
  return `{\n  "tolerance": ${tolerance},\n  "rows": [\n${lines.join(',\n')}\n  ]\n}\n`;
}
