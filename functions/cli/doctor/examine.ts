import type { Feeds } from '../../engine/batch-rows.ts';
import type { Preparation } from '../../engine/prepared/preparation.ts';
import { ServingError } from '../../errors.ts';
import type { ModelFiles } from '../../model/folder/files.ts';
import { SourceError } from '../../model/sources/source.ts';
import { type Measurement, measureModel } from '../measure/measure-model.ts';
import { DEFAULT_SIZES } from '../measure/runs.ts';
import { formatBytes } from '../terminal/format.ts';
import type { VerbContext } from '../terminal/reporting.ts';
import { checkExport, checkFile, checkRow, checkServed } from './check-model.ts';
import { checkPreparation } from './check-preparation.ts';
import { describeFile, type FileDescription } from './describe-file.ts';
import type { FoundModel, LocalFile } from './find-models.ts';
import { type Finding, loadFinding } from './findings.ts';
import { findExport, type HuggingFaceExport } from './hugging-face.ts';
import { rowsThatRun } from './rows.ts';
import { type Served, tryModel } from './try-model.ts';

/** All that was found out about one model. What is undefined could not be found out. */
export interface Examination {
  readonly name: string;
  readonly version: string | undefined;
  readonly place: string;
  readonly otherVersions: readonly string[];
  readonly serves: boolean;
  readonly findings: readonly Finding[];
  readonly file: FileDescription | undefined;
  /** Bytes of the file and its weights. */
  readonly bytes: number;
  readonly mappableBytes: number;
  readonly served: Served | undefined;
  readonly measured: Measurement | undefined;
  /** A row that ran; undefined if none did. */
  readonly row: Feeds | undefined;
  /** The folder of the model's files, if it is on this machine. */
  readonly folder: string | undefined;
  readonly huggingFace: HuggingFaceExport | undefined;
  /** How its inputs are made from texts or pictures; undefined: callers send tensors. */
  readonly preparation: Preparation | undefined;
}

interface ExamineOptions {
  readonly threads: number;
  /** `row`: a valid row is found, and nothing is measured. */
  readonly measures: 'all' | 'row' | 'nothing';
  readonly isRemote: boolean;
  readonly budgetMs?: number | undefined;
}

/** Examines one model: reads its file, loads it as the server does, and measures it. */
export async function examineModel(
  found: FoundModel,
  { threads, measures, isRemote, budgetMs }: ExamineOptions,
  context: VerbContext,
): Promise<Examination> {
  const { version, place, otherVersions } = found;
  const { progress, signal } = context;
  const findings: Finding[] = [];
  let local: LocalFile | undefined;
  let [file, files, served]: [FileDescription?, ModelFiles?, Served?] = [];
  let huggingFace: HuggingFaceExport | undefined;
  try {
    progress.step(`${isRemote ? 'fetching' : 'reading'} ${place}`);
    local = await found.fetch((bytes) => progress.update(bytes, version.model.bytes, formatBytes(bytes)));
    file = describeFile(local.path);
    findings.push(...checkFile(file));
    huggingFace = isRemote ? undefined : findExport(local.path);
    files = await local.complete();
    findings.push(...checkPreparation(files, file));
    progress.step(`loading ${place}`);
    served = await tryModel(files, threads, signal);
    findings.push(...checkServed(file, served));
    if (huggingFace !== undefined && files.preparation === undefined) findings.push(...checkExport(huggingFace));
  } catch (error) {
    signal.throwIfAborted();
    // That a bucket cannot be read is no verdict on the model.
    if (!(error instanceof ServingError) || error instanceof SourceError) throw error;
    findings.unshift(loadFinding(withoutPlace(error.message, place, isRemote)));
  }
  let run: Run = { measured: undefined, row: undefined, taken: undefined };
  if (served !== undefined && files !== undefined && measures !== 'nothing') {
    run = await measureRows(files, served, { threads, all: measures === 'all', place, budgetMs }, context);
    if (run.row === undefined) findings.push(NO_ROW);
    else if (run.measured !== undefined) {
      findings.push(...checkRow(run.taken ?? served, run.row, files.preparation !== undefined));
    }
  }
  await local?.release();
  const bytes = files?.bytes ?? file?.bytes ?? version.model.bytes;
  return {
    name: files?.name ?? version.name,
    version: files?.version ?? version.number,
    place,
    otherVersions,
    serves: served !== undefined,
    findings,
    file,
    bytes,
    mappableBytes: local?.mappableBytes ?? 0,
    served,
    measured: run.measured,
    // Callers send something else.
    row: files?.preparation === undefined ? run.row : undefined,
    preparation: files?.preparation,
    folder: isRemote ? undefined : local?.folder,
    huggingFace,
  };
}

const NO_ROW: Finding = {
  level: 'note',
  kind: 'no-row',
  problem: 'no row was run: made-up values of the shapes that the file gives do not run',
  fix: 'give the example of a valid row in model.json',
};

interface Run extends Pick<Examination, 'measured' | 'row'> {
  /** What the engine process takes. */
  readonly taken: Pick<Served, 'signature' | 'known'> | undefined;
}

/** Finds rows that run, and measures their runs. */
async function measureRows(
  { path, preparation }: ModelFiles,
  served: Served,
  {
    threads,
    all,
    place,
    budgetMs,
  }: Pick<ExamineOptions, 'threads' | 'budgetMs'> & { readonly all: boolean; readonly place: string },
  { progress, signal }: VerbContext,
): Promise<Run> {
  let row: Feeds | undefined;
  let taken: Run['taken'];
  progress.step(`measuring ${place}`);
  const measured = await measureModel({
    path,
    threads,
    signal,
    loads: all ? 3 : 1,
    budgetMs,
    async rowsFor(engine) {
      // An engine process of its own takes the tensors of the file.
      taken = preparation === undefined ? served : { signature: engine.loaded.signature, known: [] };
      const rows = await rowsThatRun(engine, taken);
      row = rows[0];
      return all ? rows : [];
    },
    sizes: () => (served.batching.enabled ? DEFAULT_SIZES : [1]),
    onStep: (what, done, steps) => progress.update(done, steps, what),
  });
  return { measured: all ? measured : undefined, row, taken };
}

/** The server's message without the place, which the report has already. */
function withoutPlace(message: string, place: string, isRemote: boolean): string {
  if (message.startsWith(`${place}: `)) return message.slice(place.length + 2);
  const said = message.startsWith(`${place} `) ? `it ${message.slice(place.length + 1)}` : message;
  return isRemote ? said : said.replace(/: upload it too$/, ': put it there, under that name');
}
