import { mkdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { stampOfFile } from '../../engine/process/file-stamp.ts';
import type { CompiledFiles } from '../../engine/process/model-source.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import { checkMachine, digestOf, keyOf, markUse, nameOfKey, readEntry, sealEntry, targetIn } from './entry.ts';
import { createCompiledFolder } from './folder.ts';
import { describeMachine, type Machine } from './machine.ts';

interface CompiledModelsOptions {
  /** Compiles every model with packed weights; otherwise those with two engine processes and large weights. */
  readonly always: boolean;
  /** `COMPILED_FOLDER`. */
  readonly folder: string | undefined;
  /** Files take memory in every folder that is not set, as on Cloud Run. */
  readonly filesAreMemory: boolean;
  readonly logger: Logger;
  /** Default: this machine. */
  readonly machine?: Machine;
}

/** A model whose compiled form is looked for. */
export interface OriginalModel {
  readonly name: string;
  /** The size of its file and its weights. */
  readonly bytes: number;
  /** The paths of the model's file and of its weights, on this machine. */
  readonly paths: readonly [model: string, ...weights: string[]];
  /** Identifies the content of files that were fetched; undefined for files that are read where they are. */
  readonly fetched: string | undefined;
}

/** The compiled form of one loaded model. Close it with the model. */
export interface CompiledModel {
  /** The files to load; undefined if there are none that fit. */
  readonly files: CompiledFiles | undefined;
  /** Settles when it is known that the files are those of the model, which may be after they are loaded. Rejects if they are not. */
  readonly isOfModel: Promise<void>;
  /** Compile the model, whatever it gains. */
  readonly always: boolean;
  /**
   * Makes the files.
   * @param bytes of the model
   * @param compile has onnxruntime write to the target
   * @param check tries the result, before others can use it
   * @returns undefined where compiled models are not written
   * @throws Error if it cannot be made; nothing of it is left then
   */
  make(
    bytes: number,
    compile: (target: { readonly graph: string; readonly data: string }) => Promise<void>,
    check: (files: CompiledFiles) => Promise<void>,
  ): Promise<CompiledFiles | undefined>;
  /** Deletes files that are wrong; those beside the model stay. */
  discard(): Promise<void>;
  /**
   * Stops using the files, and deletes them unless another load of this process uses them. Those beside the model stay, and those in
   * `COMPILED_FOLDER`, which other servers may use, until there is no room for them.
   */
  remove(): Promise<void>;
  /** Stops using the files; they stay for the next process. */
  release(): void;
}

/** Finds, makes and deletes the compiled forms of models. */
export interface CompiledModels {
  /** Looks for the compiled form of a model; undefined if the model is to have none. */
  open(model: OriginalModel): Promise<CompiledModel | undefined>;
  close(): void;
}

/** Less weights are not worth the disk: an engine saves as many bytes of memory. */
export const LEAST_COMPILED_BYTES = 32 * 2 ** 20;

/** Packed weights may take as much as those of the model, which are in the file too, and the graph a little. */
const SIZE_FACTOR = 2.1;

/** The folder of the compiled form that is beside a model's file, as in an image: hidden, so that it is not listed as a model. */
export function besideModel(path: string): string {
  return join(dirname(path), `.${basename(path)}.compiled`);
}

/**
 * Makes the compiled form beside a model's file, with the digest of the model in its key and times that a copy keeps.
 * @param paths of the model's file and of its weights
 * @throws Error if it cannot be made; what was there before stays then
 */
export async function makeBeside(
  paths: OriginalModel['paths'],
  compile: Parameters<CompiledModel['make']>[1],
  check: Parameters<CompiledModel['make']>[2],
): Promise<CompiledFiles> {
  const path = besideModel(paths[0]);
  const part = `${path}.part`;
  const remove = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });
  const key = keyOf(describeMachine(), await digestOf(paths));
  await remove(part);
  await mkdir(part);
  try {
    await compile(targetIn(part));
    await check(await sealEntry(part, key, 0));
    await remove(path);
    await rename(part, path);
  } finally {
    await remove(part);
  }
  return (await readEntry(path, () => {}))!;
}

export function createCompiledModels(options: CompiledModelsOptions): CompiledModels {
  const { always, logger, filesAreMemory } = options;
  const isWritten = options.folder !== undefined || !filesAreMemory;
  const folder = createCompiledFolder(options.folder);
  const uses = new Map<string, number>();
  const isInUse = (name: string): boolean => (uses.get(name) ?? 0) > 0;
  let machine = options.machine;

  /** Reads an entry. One that must not be used is reported, and removed: it would keep its place. */
  function find(at: string, model: string, check: Parameters<typeof readEntry>[1], remove = async () => {}) {
    return readEntry(at, check).catch(async (error: Error) => {
      logger.info(`the compiled model in ${at} is not used: ${error.message}`, { model });
      await remove();
      return undefined;
    });
  }

  /** The compiled form beside the model's file. Its key has a digest of the model, which takes as long as a load. */
  async function findBeside({ name, paths }: OriginalModel, own: Machine) {
    let digest = '';
    const at = besideModel(paths[0]);
    const files = await find(at, name, (key) => {
      checkMachine(key, own);
      digest = String(key.model);
    });
    if (files === undefined) return undefined;
    const isOfModel = digestOf(paths).then((found) => {
      if (found !== digest) throw new Error(`${at} was made from another model`);
    });
    isOfModel.catch(() => {});
    return { files, isOfModel };
  }

  /** The files of an entry. @param expected its key, as JSON */
  async function findEntry(name: string, expected: string, model: string): Promise<CompiledFiles | undefined> {
    const path = isWritten ? await folder.pathOf(name).catch(() => undefined) : undefined;
    if (path === undefined) return undefined;
    const files = await find(path, model, checkKey(expected), () => folder.remove(name));
    if (files !== undefined) await markUse(path);
    return files;
  }

  async function open(model: OriginalModel): Promise<CompiledModel | undefined> {
    if (!always && model.bytes < LEAST_COMPILED_BYTES) return undefined;
    machine ??= describeMachine();
    const beside = model.fetched === undefined ? await findBeside(model, machine) : undefined;
    if (beside !== undefined) {
      const nothing = async (): Promise<undefined> => undefined;
      return { ...beside, always, make: nothing, discard: nothing, remove: nothing, release() {} };
    }
    const key = keyOf(machine, await identify(model, options.folder !== undefined));
    const name = nameOfKey(key);
    const expected = JSON.stringify(key);
    const files = await findEntry(name, expected, model.name);
    uses.set(name, (uses.get(name) ?? 0) + 1);
    let isUsed = true;

    function release(): void {
      if (isUsed) uses.set(name, uses.get(name)! - 1);
      isUsed = false;
    }

    return {
      files,
      isOfModel: Promise.resolve(),
      always,
      release,
      async make(bytes, compile, checkResult) {
        if (!isWritten) return undefined;
        const path = await folder.make(
          name,
          Math.ceil(SIZE_FACTOR * bytes),
          (one) => isInUse(one) && one !== name,
          async (at) => {
            await compile(targetIn(at));
            await checkResult(await sealEntry(at, key));
          },
        );
        const made = await readEntry(path, checkKey(expected));
        if (made === undefined) throw new Error(`${path} was removed`);
        return made;
      },
      discard: () => folder.remove(name),
      async remove() {
        const wasUsed = isUsed;
        release();
        if (wasUsed && !isInUse(name) && options.folder === undefined) await folder.remove(name);
      },
    };
  }

  return {
    open: (model) =>
      open(model).catch((error: Error) => {
        logger.debug(`no compiled model is looked for: ${error.message}`, { model: model.name });
        return undefined;
      }),
    close: folder.close,
  };
}

/** Throws an Error unless a key is the expected one, as JSON. */
function checkKey(expected: string): (key: object) => void {
  return (key) => {
    if (JSON.stringify(key) !== expected) throw new Error('its key is another one');
  };
}

/** @param isSet whether the folder is `COMPILED_FOLDER`, which may outlive this machine: files of another image may have the same times. */
async function identify({ fetched, paths }: OriginalModel, isSet: boolean): Promise<string> {
  return fetched ?? (await (isSet ? digestOf(paths) : identityOf(paths)));
}

/**
 * Identifies files that are read where they are, without reading them: by path, size, and the times of the last change of content
 * and of the file itself, which no program can set.
 */
async function identityOf(paths: readonly string[]): Promise<string> {
  const files = paths.map(async (path) => {
    const real = await realpath(path);
    const found = await stat(real, { bigint: true });
    return `${real} ${stampOfFile(found)}-${found.ctimeNs}`;
  });
  return (await Promise.all(files)).join('\n');
}
