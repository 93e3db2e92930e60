/**
 * `node scripts/compile-models.ts FOLDER`, in the image `dist/compile-models.js`: compiles the models of a folder, each into a hidden
 * folder beside its file. For the build of an image; a server compiles the others itself.
 */
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { joinRows } from '../functions/engine/batch-rows.ts';
import { compileModel } from '../functions/model/compiled/compile.ts';
import { LEAST_COMPILED_BYTES, makeBeside } from '../functions/model/compiled/compiled-models.ts';
import { readLayout } from '../functions/model/folder/layout.ts';
import { weightPaths } from '../functions/model/folder/weights.ts';
import { syntheticRow } from '../functions/model/serving/batching-decision.ts';
import { createFileSource } from '../functions/model/sources/file.ts';
import { inspectModel } from '../functions/onnx/inspect.ts';
import { readCommandLine } from './command-line.ts';

const USAGE = `compile-models: compiles the models of a folder, each into a hidden folder beside its file.

Usage: node dist/compile-models.js [--all] FOLDER

  --all   also those with less than ${LEAST_COMPILED_BYTES / 2 ** 20} MiB of weights, which a server uses with COMPILED_MODELS=on

A model that cannot be compiled stays as it is, with a line that says why. Exit code: 1 if the folder cannot be read.`;

const TIMEOUT_MS = 600_000;

/** @param path of the model's file @returns why it was not compiled; undefined if it was */
async function compile(path: string, all: boolean): Promise<string | undefined> {
  const weights = weightPaths(path, inspectModel(path).external, path);
  const paths = [path, ...weights] as const;
  const bytes = paths.reduce((sum, one) => sum + statSync(one).size, 0);
  if (!all && bytes < LEAST_COMPILED_BYTES) return 'it is small';
  const order = { path, intraOpThreads: 1, executionProviders: ['cpu'], weights: 'packed' } as const;
  await compileModel(
    { make: (_, compileTo, check) => makeBeside(paths, compileTo, check) },
    {
      ...{ order, bytes, runTimeoutMs: TIMEOUT_MS },
      runs: (signature) =>
        [0, 1].map((row) => joinRows([{ feeds: syntheticRow(signature, undefined, row), first: 0, rows: 1 }])),
      // The server runs the golden rows at each load.
      check: async () => {},
    },
    new AbortController().signal,
  );
  return undefined;
}

const { values, positionals } = readCommandLine(USAGE, { all: { type: 'boolean', default: false } }, [1, 1]);
const source = createFileSource(positionals[0]!);
const layout = readLayout(source.root, await source.list(AbortSignal.timeout(TIMEOUT_MS)));
const root = source.root.endsWith('.onnx') ? dirname(source.root) : source.root;
for (const version of [...layout.models.values()].flat()) {
  const path = join(root, version.folder, version.file);
  const why = await compile(path, values.all).catch((error: Error) => error.message);
  console.log(`${path}: ${why === undefined ? 'compiled' : `not compiled: ${why}`}`);
}
