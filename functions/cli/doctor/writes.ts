import { ServingError } from '../../errors.ts';
import { printable } from '../terminal/format.ts';
import { planManifest } from '../write-settings/plan-manifest.ts';
import { planSettings } from '../write-settings/plan-settings.ts';
import type { PlannedFile } from '../write-settings/settings.ts';
import type { CloudRunSize } from './cloud-run.ts';
import type { Examination } from './examine.ts';
import { firstManifest } from './first-manifest.ts';

interface WriteOptions {
  /** The folder of the project. */
  readonly project: string;
  /** See `planManifest`. */
  readonly force: boolean;
  /** Whether run times were measured: without them CPU and concurrency are not known. */
  readonly measured: boolean;
}

/**
 * Plans the files of `--write`: the settings of the project, and a model.json for each model that has none.
 * @throws ServingError `INVALID_INPUT` if a model does not serve, or the folder is none of a project: nothing is written then
 */
export function planWrites(
  examined: readonly Examination[],
  size: CloudRunSize | undefined,
  { project, force, measured }: WriteOptions,
): { readonly files: readonly PlannedFile[]; readonly notes: readonly string[] } {
  const broken = examined.find(({ serves }) => !serves);
  if (broken !== undefined) {
    const [first] = broken.findings;
    const why = first === undefined ? '' : `: ${first.problem}${first.fix === undefined ? '' : `; ${first.fix}`}`;
    throw new ServingError('INVALID_INPUT', `nothing was written, because ${broken.place} does not serve${why}`);
  }
  if (size === undefined)
    throw new ServingError('INVALID_INPUT', 'nothing was written, because no instance of Cloud Run is large enough');
  const { memoryBytes, cpu, concurrency, processes, threads } = size;
  const { files, overriding } = planSettings(project, {
    memoryBytes,
    ...(measured && { cpu, concurrency }),
    variables: measured ? { INFERENCE_PROCESSES: String(processes), INTRA_OP_THREADS: String(threads) } : {},
  });
  const notes = overriding.map((path) => `${printable(path)} sets resources of its own: it was not changed`);
  if (!measured) notes.push('CPU, concurrency, processes and threads were not written: they need the run times');
  const manifests = examined.flatMap((one) => {
    const manifest = firstManifest(one);
    if (one.folder === undefined || manifest === undefined) {
      notes.push(`${printable(one.place)} is not on this machine: no model.json was written`);
      return [];
    }
    const planned = planManifest(one.folder, manifest, force);
    if (planned === undefined)
      notes.push(`${printable(one.name)} has a model.json: it was not changed (--force replaces its fields)`);
    return planned === undefined ? [] : [planned];
  });
  return { files: [...files, ...manifests], notes };
}
