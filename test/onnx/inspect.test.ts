import assert from 'node:assert/strict';
import fs, { appendFileSync, mkdirSync, truncateSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ServingError } from '../../functions/errors.ts';
import { type Inspection, inspectModel } from '../../functions/onnx/inspect.ts';
import type { Value } from '../../functions/onnx/value-type.ts';
import { classifier, oddNames, sequenceOutput } from '../helpers/exported-models.ts';
import { externalWeights, identity, twoOutputs } from '../helpers/models.ts';
import { tempFiles } from '../helpers/temp-file.ts';
import { concat, field, varint } from '../helpers/wire.ts';

const file = tempFiles('inspect-');

const ENDS = concat(field(1, 8), field(8, concat(field(1, ''), field(2, 17))));

/** What ends with `content` bytes behind it: the header of a length-delimited field whose content is a hole in the file. */
const open = (number: number, content: number): Uint8Array => concat(varint(number * 8 + 2), varint(content));

/** Memory the process has taken at most so far. */
const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

/** Runs `work`, and counts the bytes that it reads from files. */
function countReads(work: () => void): number {
  const { readSync } = fs;
  let bytes = 0;
  // Not a mock of node:test: it keeps a stack for each call, which is megabytes.
  fs.readSync = ((...args: Parameters<typeof readSync>) => {
    const read = readSync(...args);
    bytes += read;
    return read;
  }) as typeof readSync;
  syncBuiltinESMExports();
  try {
    work();
  } finally {
    fs.readSync = readSync;
    syncBuiltinESMExports();
  }
  return bytes;
}

/** Asserts that inspecting the file reads no more than `maxRead` bytes of it, and takes no memory in proportion to it. */
function assertLight(path: string, maxRead = 2 ** 20) {
  const before = peakBytes();
  let inspection: Inspection | undefined;
  const read = countReads(() => {
    inspection = inspectModel(path);
  });
  assert.ok(read > 0 && read <= maxRead, `it read ${read} bytes`);
  // Garbage of V8's young generation may be 48 MB; the files have 200 MB and 2 GB.
  assert.ok(peakBytes() - before < 2 ** 26, `it took ${peakBytes() - before} bytes`);
  return inspection!;
}

test('the inspection has the versions, the operator sets and the external data of a model', () => {
  const { model } = externalWeights('weights/w.bin');
  assert.deepEqual(inspectModel(file('external.onnx', model)), {
    bytes: model.length,
    irVersion: 8,
    opsets: [{ domain: 'ai.onnx', version: 17 }],
    external: ['weights/w.bin'],
    inputs: [{ name: 'x', type: 'tensor(float)', isTensor: true, element: 'float32', hasShape: true }],
    outputs: [{ name: 'y', type: 'tensor(float)', isTensor: true, element: 'float32', hasShape: true }],
  });
});

test('the inspection has inputs and outputs with their types, in order', () => {
  const { opsets, outputs } = inspectModel(file('classifier.onnx', classifier(['a', 'b'])));
  assert.deepEqual(opsets[1], { domain: 'ai.onnx.ml', version: 3 });
  const typed = (values: readonly Value[]) => values.map(({ name, type }) => `${name}: ${type}`);
  assert.deepEqual(typed(outputs), [
    'output_label: tensor(string)',
    'output_probability: sequence of map(string, float)',
  ]);
  const sequence = inspectModel(file('sequence.onnx', sequenceOutput()));
  assert.deepEqual(typed(sequence.outputs), ['parts: sequence of tensor(float)']);
  const { inputs } = inspectModel(file('tensors.onnx', twoOutputs()));
  assert.deepEqual(typed(inputs), ['x: tensor(int64)', 'z: tensor(double)']);
});

const REFUSED: [title: string, content: string | Uint8Array, reason: RegExp][] = [
  ['an empty file', '', /but the file is empty$/],
  ['a page of HTML', '<!doctype html><title>404</title>', /found text: "<!doctype html>/],
  ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\n', /Git LFS pointer: fetch the file itself/],
  ['random bytes', Uint8Array.from({ length: 500 }, (_, i) => (i * 151 + 7) % 256), /its 500 bytes cannot be decoded/],
  // Two bytes of ir_version, two of a header, and 100 of a graph.
  [
    'a truncated model',
    concat(field(1, 8), field(7, new Uint8Array(100))).subarray(0, 60),
    /it is cut short: it has 60 bytes of at least 104$/,
  ],
  ['a model without a graph', field(1, 8), /it has no graph: it is cut short \(it has 2 bytes\)/],
  ['a model without ir_version', concat(field(7, field(2, 'g')), field(8, field(2, 17))), /no ir_version/],
  ['a model without opset_import', concat(field(1, 8), field(7, field(2, 'g'))), /no opset_import/],
  [
    'a model with a broken graph',
    concat(ENDS, field(7, Uint8Array.of(0x0a, 0x7f))),
    /it is damaged: it has 12 bytes, and byte 10: field 1 ends at byte 139, its message at byte 12$/,
  ],
  [
    'a model whose graph is a number',
    concat(ENDS, field(7, 3)),
    /it is damaged: .* field 7 of the model is not a message/,
  ],
];
for (const [title, content, reason] of REFUSED) {
  test(`${title} is refused by its path and with the reason`, () => {
    const path = file('refused.onnx', content);
    assert.throws(
      () => inspectModel(path),
      (error) => {
        assert.ok(error instanceof ServingError && error.code === 'MODEL_FAILED', String(error));
        assert.ok(error.message.startsWith(`${path}: expected an ONNX model, but `), error.message);
        assert.match(error.message, reason);
        return true;
      },
    );
  });
}

test('a missing file, and a folder, are refused with their path', () => {
  const folder = dirname(file('x', ''));
  assert.throws(() => inspectModel(join(folder, 'nowhere.onnx')), /nowhere\.onnx: .* it cannot be opened: ENOENT/);
  mkdirSync(join(folder, 'folder.onnx'));
  assert.throws(
    () => inspectModel(join(folder, 'folder.onnx')),
    /^ServingError: .*folder\.onnx: .* it cannot be read: EISDIR/,
  );
});

test('graphs nested without end are refused', () => {
  let graph = field(2, 'innermost');
  for (let depth = 0; depth < 2000; depth++) graph = field(1, field(5, field(6, graph)));
  assert.throws(
    () => inspectModel(file('deep.onnx', concat(ENDS, field(7, graph)))),
    /it is damaged: .* more than 100 nested messages/,
  );
});

test('a file of 2 GB is refused without reading it, with what to do', () => {
  const path = file('large.onnx', identity());
  truncateSync(path, 2 ** 31);
  const read = countReads(() =>
    assert.throws(
      () => inspectModel(path),
      /it has 2147483648 bytes, and protobuf's limit is 2 GB: export it with external data/,
    ),
  );
  assert.equal(read, 0);
});

test('a model of a byte less than 2 GB, nearly all of it weights, is inspected without reading the weights', () => {
  const size = 2 ** 31 - 1;
  const tensor = concat(field(1, 1), field(2, 1), field(8, 'w'));
  // The initializer's raw_data (9), all of it a hole, ends the file. Every header is 6 bytes: a tag, and a length of five.
  const data = size - ENDS.length - tensor.length - 3 * 6;
  const held = tensor.length + 6 + data;
  const head = concat(ENDS, open(7, held + 6), open(5, held), tensor, open(9, data));
  const path = file('weights.onnx', head);
  truncateSync(path, size);
  assert.equal(head.length + data, size);
  assert.equal(assertLight(path).bytes, size);
});

test('a tree ensemble with 200 MB of numbers is inspected without reading them', () => {
  // ints (8) of an AttributeProto, a field for each, as protobuf's own writers have it; its type (20) comes behind them.
  const chunk = Buffer.alloc(10_000_000, Uint8Array.of(0x40, 0x07));
  const chunks = 20;
  const name = field(1, 'nodes_featureids');
  const attribute = name.length + chunks * chunk.length;
  const attributeHead = concat(open(5, attribute), name);
  const node = attribute + open(5, attribute).length;
  const graph = node + open(1, node).length;
  const path = file('trees.onnx', concat(ENDS, open(7, graph), open(1, node), attributeHead));
  for (let i = 0; i < chunks; i++) appendFileSync(path, chunk);
  assert.deepEqual(assertLight(path).external, []);
});

test('a hundred thousand nodes are read three times at most', () => {
  const node = field(
    1,
    concat(field(1, 'x'), field(2, 'y'), field(4, 'Identity'), field(5, concat(field(1, 'a'), field(3, 1)))),
  );
  const graph = Buffer.alloc(100_000 * node.length, node);
  assertLight(file('nodes.onnx', concat(ENDS, field(7, graph))), 3 * graph.length);
});

const MODELS = [identity(), classifier([3, 7]), oddNames(), externalWeights().model];

test('a model truncated anywhere is refused, or inspected if it is cut between two parts', () => {
  fc.assert(
    fc.property(fc.constantFrom(...MODELS), fc.nat(), (model, cut) => {
      const path = file('cut.onnx', model.subarray(0, cut % model.length));
      try {
        inspectModel(path);
      } catch (error) {
        assert.ok(error instanceof ServingError && error.message.startsWith(path), String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('a model with a changed byte is refused or inspected', () => {
  fc.assert(
    fc.property(fc.constantFrom(...MODELS), fc.nat(), fc.integer({ min: 0, max: 255 }), (model, at, byte) => {
      const changed = Uint8Array.from(model);
      changed[at % model.length] = byte;
      const path = file('changed.onnx', changed);
      try {
        inspectModel(path);
      } catch (error) {
        assert.ok(error instanceof ServingError && error.message.startsWith(path), String(error));
      }
    }),
    { numRuns: 500 },
  );
});
