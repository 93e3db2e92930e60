import { copyFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { requestBytes } from '../../functions/cli/loadtest/http/request.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const BASELINES = ['framework', 'plain-http', 'constant', 'plain-text', 'plain-picture'] as const;

export type BaselineFile = (typeof BASELINES)[number];

/** A model's folder, and a predict request for it. */
export interface ModelInput {
  readonly folder: string;
  /** The file of the request's body. */
  readonly body: string;
  /** Whether each line of the file is the body of a request. */
  readonly lines?: boolean;
  /** Default: `/predict`. */
  readonly path?: string;
  /** The media type of the body. Default: JSON. */
  readonly type?: string;
  readonly request: Buffer;
}

export interface BenchInputs {
  readonly models: Readonly<Record<'iris' | 'mlp' | 'conv-small' | 'conv-image', ModelInput>>;
  readonly baselines: Readonly<Record<BaselineFile, string>>;
  /** A copy of the node program that only the measured processes run. */
  readonly ownNode: string;
}

/** Nested rows of numbers of the given shape, four decimals each, as a client that sends pixels in JSON rounds them. */
function rows(shape: readonly number[], next: () => number): unknown {
  const [size, ...rest] = shape;
  return size === undefined ? next() : Array.from({ length: size }, () => rows(rest, next));
}

function pixels(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Number((state / 2 ** 32).toFixed(4));
  };
}

/**
 * Creates the inputs of the benchmarks in an empty folder: the models, request bodies, and the baselines as plain JavaScript. Node
 * strips the types of a TypeScript file when it starts, which takes time that the production build does not need: the start of the
 * baselines would appear slower than it is.
 */
export async function makeInputs(temp: string): Promise<BenchInputs> {
  const { writeBenchModels } = await import('../bench-models.ts');
  writeBenchModels(temp);
  const irisFolder = join(REPOSITORY, 'models/iris');

  function input(name: string, folder: string, features: unknown): ModelInput {
    const text = JSON.stringify({ features });
    const body = join(temp, `${name}.json`);
    writeFileSync(body, text);
    return { folder, body, request: requestBytes('POST', '/predict', text) };
  }

  symlinkSync(join(REPOSITORY, 'node_modules'), join(temp, 'node_modules'));
  const baselines = {} as Record<BaselineFile, string>;
  for (const name of BASELINES) {
    baselines[name] = join(temp, 'baselines', `${name}.mjs`);
    buildSync({
      entryPoints: [join(import.meta.dirname, `baselines/${name}.ts`)],
      outfile: baselines[name],
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      target: 'esnext',
    });
  }
  const ownNode = join(temp, 'node');
  copyFileSync(process.execPath, ownNode);
  return {
    models: {
      iris: input('iris', irisFolder, [5.1, 3.5, 1.4, 0.2]),
      mlp: input('mlp', join(temp, 'mlp'), rows([784], pixels())),
      'conv-small': input('conv-small', join(temp, 'conv-small'), rows([3, 32, 32], pixels())),
      'conv-image': input('conv-image', join(temp, 'conv-image'), rows([3, 224, 224], pixels())),
    },
    baselines,
    ownNode,
  };
}
