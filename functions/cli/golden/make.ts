import { join, relative } from 'node:path';
import { ServingError } from '../../errors.ts';
import { GOLDEN_FILE } from '../../model/folder/layout.ts';
import { findLocalModel } from '../samples/local-model.ts';
import { formatBytes } from '../terminal/format.ts';
import type { Outcome, VerbContext } from '../terminal/reporting.ts';
import { table } from '../terminal/table.ts';
import type { GoldenArguments } from './arguments.ts';
import { checkTarget, findSamples, writeGolden } from './files.ts';
import { makeGolden } from './make-golden.ts';

/** Makes golden.json. @throws ServingError as `makeGolden` does, and if the file exists */
export async function run(options: GoldenArguments, context: VerbContext): Promise<Outcome> {
  const { path, samples, output, count, tolerance, force = false } = options;
  const { progress, signal, styles } = context;
  if (path === undefined) context.wrongUsage('name the model: onnx-cloud-run golden model.onnx rows.csv');
  for (const name of ['model', 'token', 'tokenFile', 'identityToken'] as const)
    if (options[name] !== undefined)
      context.wrongUsage(`--${name.replace(/[A-Z]/, '-$&').toLowerCase()} needs --check URL`);
  const model = await findLocalModel(path, false);
  if (model.preparation !== undefined) {
    const message = `${path}: golden makes rows of tensors, and callers of this model send ${model.preparation.kind}s: write golden.json with the outputs of the original model`;
    throw new ServingError('UNSUPPORTED', message);
  }
  const file = output ?? nearby(join(model.folder, GOLDEN_FILE));
  const from = samples ?? nearby(findSamples(model));
  checkTarget(file, force);
  progress.step('running the rows');
  const onRow = (done: number, total: number): void => {
    signal.throwIfAborted();
    progress.update(done, total, `row ${done} of ${total}`);
  };
  const made = await makeGolden({ model, samples: from, rows: count, tolerance, onRow, signal });
  writeGolden(file, made.text, force);
  const same = (by: number | undefined): string =>
    by === undefined ? 'not joined' : by === 0 ? 'equal' : `within ${by.toPrecision(2)}`;
  const noisy = made.outputs.filter(({ joined = 0 }) => joined > tolerance);
  return {
    json: { file, from, tolerance, rows: made.rows, of: made.of, outputs: made.outputs },
    lines: [
      `${styles.bold(file)}: ${made.rows} of ${made.of} rows of ${from}, ${formatBytes(Buffer.byteLength(made.text))}`,
      `tolerance ${tolerance}: the largest difference, relative to values above 1`,
      '',
      ...table(
        ['output', 'dtype', 'runs of a row', 'joined with other rows'],
        made.outputs.map(({ name, dtype, alone, joined }) => [name, dtype, same(alone), same(joined)]),
        { styleTitle: styles.dim },
      ),
      ...noisy.map(({ name }) =>
        styles.yellow(`${name} differs by more than the tolerance beside other rows: give --tolerance`),
      ),
    ],
  };
}

/** A path below the current folder without that folder. */
function nearby(path: string): string {
  const below = relative('', path);
  return below.startsWith('..') ? path : below;
}
