/** The process that runs a model's `transform.ts`: `preprocess` for rows of bodies, `postprocess` for rows of outputs. */
import { dirname } from 'node:path';
import { checkStamp } from '../../engine/process/file-stamp.ts';
import type { SlottedTensor } from '../../engine/process/frame.ts';
import { type LoadedProgram, serveFrames } from '../../engine/process/frame-loop.ts';
import { sliceRows } from '../../tensor/compare.ts';
import type { Signature, Tensor } from '../../tensor/tensor.ts';
import type { Context } from '../../transform.ts';
import type { TransformExports, TransformFault, TransformOrder } from './transform-fault.ts';
import { describeFault, importTransform, type TransformModule } from './transform-module.ts';
import { answerOf, feedsOf, outputsOf, parseBody } from './transform-values.ts';

/** Most different failures of which the stack is printed: a client can repeat one as often as it wants. */
const MOST_PRINTED = 100;

async function load({ path, stamps, signature, manifest }: TransformOrder): Promise<LoadedProgram> {
  const checkAll = (): void => {
    for (const [file, stamp] of stamps ?? []) checkStamp(file, stamp);
  };
  checkAll();
  const module = await importTransform(path);
  checkAll();
  const context = { signature: signature as Signature, manifest: manifest as Context['manifest'] };
  const row = createRows(module, context, dirname(path));
  const loaded: TransformExports = {
    preprocess: module.preprocess !== undefined,
    postprocess: module.postprocess !== undefined,
  };
  return {
    loaded,
    run: (feeds) => (feeds.length === 1 ? row.prepare(feeds[0]!) : row.finish(feeds)),
  };
}

/** The two kinds of runs. Rows of one run are called at once, so that those that wait for input and output wait together. */
function createRows({ preprocess, postprocess }: TransformModule, context: Context, folder: string) {
  const signature = context.signature as Signature;
  const printed = new Set<string>();

  /** The result of a row, or its fault. */
  async function attempt<T>(call: () => Promise<T>): Promise<{ value: T } | { fault: TransformFault }> {
    try {
      return { value: await call() };
    } catch (error) {
      if (error instanceof Error && error.name === 'InvalidInput') {
        const { path } = error as { path?: unknown };
        return { fault: { kind: 'input', message: error.message, path: typeof path === 'string' ? path : undefined } };
      }
      const message = describeFault(error, folder);
      if (printed.size < MOST_PRINTED && !printed.has(message)) {
        printed.add(message);
        process.stderr.write(`${message}\n${error instanceof Error ? error.stack : ''}\n`);
      }
      return { fault: { kind: 'failure', message } };
    }
  }

  function read(text: string): unknown {
    try {
      return parseBody(text);
    } catch (cause) {
      const error = new Error(`features: expected JSON: ${(cause as Error).message}`);
      error.name = 'InvalidInput';
      throw error;
    }
  }

  return {
    /** @param bodies strings, a row each. @returns the faults of all rows, then the feeds of each row without one */
    async prepare(bodies: Tensor): Promise<SlottedTensor[]> {
      const rows = await Promise.all(
        (bodies.data as string[]).map((text) =>
          attempt(async () => feedsOf(await preprocess!(read(text), context), signature)),
        ),
      );
      const feeds = rows.flatMap((row) => ('value' in row ? row.value : []));
      return [strings(rows.map(faultText)), ...feeds].map((tensor, slot) => ({ ...tensor, slot }));
    },

    /** @param tensors the body of each row, '' if it has none; then each output, with a dimension of the rows before its own */
    async finish([bodies, ...tensors]: readonly Tensor[]): Promise<SlottedTensor[]> {
      const rows = await Promise.all(
        (bodies!.data as string[]).map((text, at) =>
          attempt(async () => {
            const own = tensors.map((tensor): Tensor => {
              const { dtype, dims, data } = sliceRows(tensor, at, 1);
              return { dtype, dims: dims.slice(1), data };
            });
            const withBody = {
              ...context,
              // Parsed only if it is used.
              get body() {
                return text === '' ? undefined : parseBody(text);
              },
            };
            return answerOf(await postprocess!(outputsOf(own, signature), withBody));
          }),
        ),
      );
      const answers = rows.map((row) => ('value' in row ? row.value : 'null'));
      return [strings(rows.map(faultText)), strings(answers)].map((tensor, slot) => ({ ...tensor, slot }));
    },
  };
}

const faultText = (row: { value: unknown } | { fault: TransformFault }): string =>
  'fault' in row ? JSON.stringify(row.fault) : '';

const strings = (data: string[]): Tensor => ({ dtype: 'string', dims: [data.length], data });

await serveFrames((order) => load(order as TransformOrder));
