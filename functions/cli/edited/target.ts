import { existsSync, rmSync, type Stats, statSync } from 'node:fs';
import { mkdtemp, rename } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { ServingError } from '../../errors.ts';

interface TargetOptions {
  /** As `--output` has it. Default: the model's path with `.LABEL` before its ending. */
  readonly output?: string | undefined;
  /** What was done to the model, for the default: `pruned`. */
  readonly label: string;
  /** Replace a file that exists. */
  readonly force?: boolean | undefined;
  /** The paths of the external data of the model that is read. */
  readonly data?: readonly string[];
}

/**
 * The path of the model that a verb writes.
 * @param model the path of the one that it reads
 * @throws ServingError `INVALID_INPUT` for a path that is the model's own, or taken, has another ending, or whose folder does not exist
 */
export function targetOf(model: string, { output, label, force = false, data = [] }: TargetOptions): string {
  const target = output ?? shortPath(model.replace(/(\.onnx)?$/, `.${label}.onnx`));
  if (!target.endsWith('.onnx')) throw refuse(target, 'expected a name that ends in .onnx');
  const folder = statSync(dirname(resolve(target)), { throwIfNoEntry: false });
  if (!folder?.isDirectory()) throw refuse(target, 'its folder does not exist: create it, or name another file');
  const found = statSync(target, { throwIfNoEntry: false });
  const own = statSync(model);
  if (found !== undefined && isSame(found, own))
    throw refuse(target, 'it is the model itself, with which the result is compared: name another file with --output');
  if (found !== undefined && !found.isFile()) throw refuse(target, 'it exists, and is not a file');
  if (found !== undefined && !force)
    throw refuse(target, 'it exists: add --force to replace it, or name another with --output');
  // External data of the result gets this name.
  const beside = `${target}.data`;
  const taken = statSync(beside, { throwIfNoEntry: false });
  if (taken !== undefined && data.some((path) => isSame(statSync(path), taken)))
    throw refuse(target, `${model} has its external data in ${beside}: name another file with --output`);
  if (taken !== undefined && !force)
    throw refuse(target, `${beside} exists: add --force to replace it, or name another with --output`);
  return target;
}

const isSame = (a: Stats, b: Stats): boolean => a.ino === b.ino && a.dev === b.dev;

/** The path as a user in the current folder would type it. */
function shortPath(path: string): string {
  const short = relative('.', path);
  return short.startsWith('..') ? path : short;
}

const refuse = (target: string, reason: string): ServingError =>
  new ServingError('INVALID_INPUT', `${target}: ${reason}`);

/** A folder beside the target, where its files are made and checked before they get their places. */
export interface Staging {
  readonly folder: string;
  /** The path of the model while it is in the folder. Its external data, if it has some, has the same name with `.data` at the end. */
  readonly path: string;
  /** Moves the files to their places, and removes the folder. */
  publish(): Promise<void>;
}

/** Creates a folder for the files of a target. @param onEnd does its argument when the work has ended, however it ended */
export async function stage(target: string, onEnd: (cleanUp: () => unknown) => void): Promise<Staging> {
  const name = basename(target);
  const folder = await mkdtemp(join(dirname(resolve(target)), `.${name}-`));
  // Synchronous: a program that has to end at once waits for nothing.
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  onEnd(remove);
  const path = join(folder, name);
  return {
    folder,
    path,
    async publish() {
      // The model is last: until it is in its place, nothing reads the data.
      for (const file of [`${name}.data`, name]) {
        if (existsSync(join(folder, file))) await rename(join(folder, file), join(dirname(resolve(target)), file));
      }
      remove();
    },
  };
}
