import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { compareModels } from '../../../../functions/cli/compare/compare-models.ts';
import { type ModelProcess, openModelProcess } from '../../../../functions/cli/compare/model-process.ts';
import { createStaticMode, type StaticOptions } from '../../../../functions/cli/quantize/modes/static.ts';
import { type Feeds, joinRows, stackRows } from '../../../../functions/engine/batch-rows.ts';
import { openModel } from '../../../../functions/onnx/edit/open-model.ts';
import { writeModel } from '../../../../functions/onnx/edit/write-model.ts';
import { initializer, model, node, value } from '../../../../functions/onnx/proto/build.ts';
import { tempFiles } from '../../../helpers/temp-file.ts';
import { float32 } from '../../../helpers/tensors.ts';
import { trainConvNet } from '../../../helpers/trained-models/conv-net.ts';
import { type LabelledImages, PIXELS, SIDE } from '../../../helpers/trained-models/images.ts';
import { trainMlp } from '../../../helpers/trained-models/mlp.ts';

const file = tempFiles('static-mode-');
const workFolder = mkdtempSync(join(tmpdir(), 'static-work-'));
after(() => rmSync(workFolder, { recursive: true }));

async function quantize(path: string, rows: readonly Feeds[], options: Partial<StaticOptions> = {}) {
  const edited = openModel(path);
  const mode = createStaticMode({ rows: () => rows, workFolder, ...options });
  const titles = new Set<string>();
  const report = await mode.run(edited, { isSelected: () => true }, (title, done, total) => {
    assert.ok(done >= 0 && done <= total, `${title}: ${done} of ${total}`);
    titles.add(title);
  });
  const result = `${path}.${options.calibration?.name ?? 'static'}.onnx`;
  await writeModel(edited, result);
  assert.deepEqual(readdirSync(workFolder), [], 'no file is left');
  return { result, report, titles: [...titles] };
}

const rowsOf = ({ count, pixels }: LabelledImages, dims: readonly number[]): Feeds[] =>
  Array.from({ length: count }, (_, i) => ({
    tensors: [{ dtype: 'float32', dims: [1, ...dims], data: pixels.subarray(i * PIXELS, (i + 1) * PIXELS) }],
    rows: 1,
  }));

/** The first output for each row: alone, or in one run. */
async function scores({ run }: ModelProcess, rows: readonly Feeds[], isJoined: boolean): Promise<number[]> {
  const runs = isJoined ? [stackRows(rows)] : rows;
  const outputs: number[] = [];
  for (const feeds of runs) {
    const [first] = await run(joinRows([{ feeds, first: 0, rows: feeds.rows }]));
    outputs.push(...(first!.data as Float32Array));
  }
  return outputs;
}

const TRAINED = [
  ['a multilayer perceptron', () => trainMlp({ heldOutRows: 600 }), [PIXELS]],
  ['a convolution net', () => trainConvNet({ heldOutRows: 600 }), [1, SIDE, SIDE]],
] as const;

for (const [title, train, dims] of TRAINED) {
  test(`${title} of int8 is a quarter of the file, agrees on unseen rows, and the server joins its rows`, async () => {
    const { bytes, heldOut, samples } = await train();
    const path = file(`${dims.length}.onnx`, bytes);
    const unseen = rowsOf(heldOut, dims);
    const { result, titles } = await quantize(path, rowsOf(samples, dims));
    assert.deepEqual(titles, ['calibrating', 'quantizing']);
    const comparison = await compareModels({ original: path, result, rows: unseen });
    const { agreement, original, result: figures } = comparison;
    assert.ok(figures.bytes <= 0.27 * original.bytes, `${figures.bytes} of ${original.bytes} bytes`);
    assert.ok(agreement!.share >= 0.985, `${agreement!.equal} of ${agreement!.of} rows agree`);
    assert.deepEqual([figures.joining.enabled, figures.joining.decidedBy], [true, 'proof']);

    const opened = await openModelProcess(result);
    try {
      const some = unseen.slice(0, 16);
      assert.deepEqual(await scores(opened, some, true), await scores(opened, some, false));
    } finally {
      opened.close();
    }
    for (const calibration of [{ name: 'entropy' }, { name: 'percentile', percentile: 99.99 }] as const) {
      const other = await quantize(path, rowsOf(samples, dims), { calibration });
      const { agreement } = await compareModels({ original: path, result: other.result, rows: unseen.slice(0, 200) });
      assert.ok(agreement!.share >= 0.985, `${calibration.name}: ${agreement!.equal} of ${agreement!.of} rows agree`);
    }
  });
}

test('of the 150 irises as many are right as before', async () => {
  const root = join(import.meta.dirname, '../../../../models/iris');
  const lines = readFileSync(join(root, 'iris.csv'), 'utf8').trim().split('\n').slice(1);
  const irises = lines.map((line) => line.split(',').map(Number));
  const rows = irises.map((iris): Feeds => ({ tensors: [float32([1, 4], iris.slice(0, 4))], rows: 1 }));
  const path = file('iris.onnx', readFileSync(join(root, 'model.onnx')));
  const right = async (of: string): Promise<number> => {
    const opened = await openModelProcess(of);
    try {
      const at = opened.signature.outputs.findIndex(({ name }) => name === 'label');
      const outputs = await opened.run(joinRows([{ feeds: stackRows(rows), first: 0, rows: rows.length }]));
      return irises.filter((iris, i) => Number(outputs[at]!.data[i]) === iris[4]).length;
    } finally {
      opened.close();
    }
  };
  const { result } = await quantize(path, rows);
  assert.equal(await right(result), await right(path));
});

const REFUSED: [title: string, bytes: Uint8Array<ArrayBuffer>, message: RegExp][] = [
  [
    'a model that is quantized already',
    model({
      name: 'quantized',
      nodes: [
        node('QuantizeLinear', ['x', 's'], ['q'], {}, { name: 'in' }),
        node('DequantizeLinear', ['q', 's'], ['y']),
      ],
      initializers: [initializer('s', 'float32', [], [0.1])],
      inputs: [value('x', 'float32', ['N', 2])],
      outputs: [value('y', 'float32', ['N', 2])],
    }),
    /refused\.onnx: it is quantized already, for example by node in: quantize the original$/,
  ],
  [
    'a model of an operator set without QuantizeLinear',
    model({
      name: 'old',
      opset: 9,
      nodes: [node('Relu', ['x'], ['y'])],
      inputs: [value('x', 'float32', ['N', 2])],
      outputs: [value('y', 'float32', ['N', 2])],
    }),
    /its operator set is 9, and QuantizeLinear needs 10: export it with opset 13 or newer$/,
  ],
  [
    'a model without an operator to quantize',
    model({
      name: 'none',
      nodes: [node('Sin', ['x'], ['s']), node('Cos', ['s'], ['y'])],
      inputs: [value('x', 'float32', ['N', 2])],
      outputs: [value('y', 'float32', ['N', 2])],
    }),
    /static quantization changes none of its selected nodes; its operators are Cos, Sin$/,
  ],
];

for (const [title, bytes, message] of REFUSED) {
  test(`${title} is refused with what to do`, async () => {
    const path = file('refused.onnx', bytes);
    await assert.rejects(quantize(path, [{ tensors: [float32([1, 2], [1, 2])], rows: 1 }]), (error: Error) => {
      assert.match(error.message, message);
      return 'code' in error && error.code === 'INVALID_INPUT';
    });
    assert.deepEqual(readdirSync(workFolder), []);
  });
}

test('values that are not finite for a sample stay float32, and the notes name them', async () => {
  const path = file(
    'logs.onnx',
    model({
      name: 'logs',
      nodes: [node('Log', ['x'], ['l']), node('MatMul', ['l', 'w'], ['h']), node('Mul', ['x', 'x'], ['y'])],
      initializers: [initializer('w', 'float32', [2, 2], [1, 2, 3, 4])],
      inputs: [value('x', 'float32', ['N', 2])],
      outputs: [value('h', 'float32', ['N', 2]), value('y', 'float32', ['N', 2])],
    }),
  );
  const { report } = await quantize(path, [{ tensors: [float32([1, 2], [1, 0])], rows: 1 }]);
  assert.deepEqual(report.notes, ['These values stay float32, because they were not finite or empty: l, h.']);
});
