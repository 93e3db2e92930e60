import { LIST_PRICES, type PriceList, readPrices } from '../prices/prices.ts';
import { formatNumberOf, printable } from '../terminal/format.ts';
import type { Outcome, VerbContext } from '../terminal/reporting.ts';
import type { PlannedFile } from '../write-settings/settings.ts';
import { describeFiles, writeFiles } from '../write-settings/write-files.ts';
import { type CloudRunSize, costFor, type Need, sizeFor } from './cloud-run.ts';
import { documentOf } from './document.ts';
import { type Examination, examineModel } from './examine.ts';
import { findModels, ignoredFiles } from './find-models.ts';
import { modelLines, sizeLines } from './report.ts';
import { planWrites } from './writes.ts';

export interface DoctorOptions {
  readonly model?: string;
  readonly threads: number;
  readonly measure: boolean;
  readonly prices?: string;
  /** The folder of the project; true: the current one. */
  readonly write?: string | true;
  readonly force?: boolean;
  readonly json?: boolean;
  /** See `measureRuns`; for tests. */
  readonly budgetMs?: number;
}

/** Examines the models of a source, one after the other, and writes the files of `--write`. @throws ServingError if there is none */
export async function runDoctor(uri: string, options: DoctorOptions, context: VerbContext): Promise<Outcome> {
  const { write, force = false, threads } = options;
  if (force && write === undefined) context.wrongUsage('--force is for --write: give both');
  const prices = options.prices === undefined ? LIST_PRICES : readPrices(options.prices);
  context.progress.step(`looking for models in ${uri}`);
  const { models, isRemote, layout } = await findModels(uri, options.model, context);
  const measures = options.measure ? 'all' : write === undefined ? 'nothing' : 'row';
  const examined: Examination[] = [];
  for (const model of models) {
    context.signal.throwIfAborted();
    examined.push(await examineModel(model, { threads, measures, isRemote, budgetMs: options.budgetMs }, context));
  }
  const needs = examined.filter(({ serves }) => serves).map(needOf);
  const size = needs.length === 0 ? undefined : await sizeFor(needs, isRemote);
  const costs = examined.map((one) =>
    one.serves && size !== undefined ? costFor(needOf(one), size, prices.prices) : undefined,
  );
  let files: readonly PlannedFile[] = [];
  let notes: readonly string[] = [];
  if (write !== undefined) {
    ({ files, notes } = planWrites(examined, size, {
      project: write === true ? '.' : write,
      force,
      measured: options.measure,
    }));
    writeFiles(files);
  }
  const ignored = ignoredFiles(layout);
  const lines = textOf(examined, { size, costs, prices, ignored }, context);
  const written = write === undefined ? [] : ['', ...describeFiles(files), ...notes];
  return {
    lines: [...lines, ...written],
    json: documentOf(examined, { size, costs, prices, ignored, files, notes }),
    isGood: examined.every(({ serves }) => serves),
  };
}

function needOf({ name, bytes, mappableBytes, served, measured }: Examination): Need {
  return { name, bytes, mappableBytes, joinsRows: served?.batching.enabled === true, measured };
}

const MOST_IGNORED = 5;

interface Results {
  readonly size: CloudRunSize | undefined;
  readonly costs: readonly ReturnType<typeof costFor>[];
  readonly prices: PriceList;
  readonly ignored: readonly string[];
}

function textOf(
  examined: readonly Examination[],
  { size, costs, prices, ignored }: Results,
  { styles }: VerbContext,
): string[] {
  const reports = examined.map((one, i) => modelLines(one, costs[i], styles));
  const lines = reports.flatMap((report, i) => (i === 0 ? report : ['', ...report]));
  const serving = examined.filter(({ serves }) => serves).length;
  const isMeasured = examined.some(({ measured }) => measured !== undefined);
  if (serving > 0) lines.push('', ...sizeLines(size, isMeasured, prices, styles));
  if (examined.length > 1) {
    const models = formatNumberOf(examined.length, 'model');
    lines.push('', `${serving} of ${models} ${serving === 1 ? 'serves' : 'serve'}`);
    lines.push('MODEL_NAME chooses the one behind /predict; each is at /models/NAME/predict');
  }
  if (ignored.length > 0)
    lines.push('', 'The server ignores:', ...ignored.slice(0, MOST_IGNORED).map((one) => `  ${printable(one)}`));
  if (ignored.length > MOST_IGNORED) lines.push(`  and ${formatNumberOf(ignored.length - MOST_IGNORED, 'other file')}`);
  return lines;
}
