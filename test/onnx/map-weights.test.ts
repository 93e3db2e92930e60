import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { DATA_LOCATION, DATA_TYPES } from '../../functions/onnx/data-type.ts';
import { mapWeights } from '../../functions/onnx/map-weights.ts';
import { patchOutputs } from '../../functions/onnx/patch-outputs.ts';
import { graph, initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import {
  type GraphProto,
  type ModelProto,
  type TensorProto,
  TensorProtoSchema,
} from '../../functions/onnx/proto/onnx_pb.ts';
import { readModel } from '../../functions/onnx/proto/read.ts';
import { writeModel } from '../../functions/onnx/proto/write.ts';
import { openBytes } from '../../functions/onnx/wire.ts';
import { WIRE } from '../helpers/hostile-models.ts';
import { tempFiles } from '../helpers/temp-file.ts';
import { concat, field, varint } from '../helpers/wire.ts';

const file = tempFiles('map-weights-');
let files = 0;

/** A model file, and the bytes of the model without the weights that are mapped. */
function mapped(content: Uint8Array, leastBytes?: number) {
  const name = `${files++}.onnx`;
  const path = file(name, content);
  const bytes = openBytes(path);
  const mapping = mapWeights(bytes, name, leastBytes);
  bytes.close();
  return { name, path, mappedBytes: mapping.bytes, bytes: patchOutputs(path, [], mapping.editsOf).bytes };
}

/** Puts the mapped bytes of the file back into its tensors, as `raw_data`. */
function restored(bytes: Uint8Array, path: string, name: string): ModelProto {
  const parsed = readModel(bytes, 'mapped');
  const content = readFileSync(path);
  visit(parsed.graph!, (tensor) => {
    if (tensor.dataLocation !== DATA_LOCATION.external) return;
    const { location, offset, length } = Object.fromEntries(
      tensor.externalData.map(({ key, value: text }) => [key, text]),
    );
    assert.equal(location, name);
    tensor.rawData = new Uint8Array(content.subarray(Number(offset), Number(offset) + Number(length)));
    tensor.externalData = [];
    tensor.dataLocation = DATA_LOCATION.default;
  });
  return parsed;
}

function visit({ initializer: tensors, node: nodes }: GraphProto, each: (tensor: TensorProto) => void): void {
  for (const tensor of tensors) each(tensor);
  for (const { attribute } of nodes) for (const { g } of attribute) if (g !== undefined) visit(g, each);
}

/** A canonical form: fields whose default was written are the same as those that were left out. */
function canonical(parsed: ModelProto): Uint8Array {
  visit(parsed.graph!, (tensor) => {
    tensor.dataLocation = DATA_LOCATION.default;
  });
  return writeModel(parsed);
}

const X = value('x', 'float32', ['N', 4]);
const Y = value('y', 'float32', ['N', 4]);
const wrap = (tensors: TensorProto[], nodes = [node('Identity', ['x'], ['y'])]) =>
  model({ name: 'weights', nodes, initializers: tensors, inputs: [X], outputs: [Y] });

const tensors = fc.array(
  fc.record({
    type: fc.constantFrom('float32', 'int8', 'float64', 'int64', 'bool', 'uint16'),
    count: fc.nat(40),
    name: fc.string(),
  }),
  { maxLength: 6 },
);

test('the model without its weights, and the file, are the same model as the file alone: at any depth of graphs', () => {
  fc.assert(
    fc.property(fc.array(tensors, { minLength: 1, maxLength: 4 }), fc.nat(200), (levels, leastBytes) => {
      const made = levels.map((level) =>
        level.map(({ type, count, name }) =>
          initializer(
            name,
            type as 'int8',
            [count],
            Array.from({ length: count }, (_, i) => i % 2),
          ),
        ),
      );
      const inner = made.slice(1).reduceRight<GraphProto | undefined>((body, initializers) => {
        const nodes = [
          node('Identity', ['x'], ['y']),
          ...(body === undefined ? [] : [node('If', ['c'], ['z'], { then_branch: body, else_branch: body })]),
        ];
        return graph({ name: 'inner', nodes, initializers, inputs: [], outputs: [Y] });
      }, undefined);
      const nodes = inner === undefined ? [] : [node('If', ['c'], ['y'], { then_branch: inner, else_branch: inner })];
      const content = wrap(made[0]!, [node('Identity', ['x'], ['y']), ...nodes]);
      const { bytes, path, name } = mapped(content, Math.max(1, leastBytes));
      assert.deepEqual(canonical(restored(bytes, path, name)), canonical(readModel(content, 'file')));
    }),
    { numRuns: 200 },
  );
});

test('every tensor of 4 kB is mapped at its place in the file, and a smaller one stays in the model', () => {
  const data = Float32Array.from({ length: 1024 }, (_, i) => i);
  const content = wrap([
    initializer('large', 'float32', [1024], data),
    initializer('small', 'float32', [1023], data.slice(1)),
  ]);
  const { bytes, mappedBytes, path, name } = mapped(content);
  assert.equal(mappedBytes, 4096);
  const [large, small] = readModel(bytes, 'mapped').graph!.initializer;
  assert.equal(large!.dataLocation, DATA_LOCATION.external);
  assert.equal(large!.rawData.length, 0);
  assert.equal(small!.rawData.length, 4092);
  assert.ok(bytes.length < 4500);
  assert.deepEqual(restored(bytes, path, name).graph!.initializer[0]!.rawData, new Uint8Array(data.buffer));
});

test('packed float_data and double_data are mapped: their bytes are those of raw_data', () => {
  for (const [number, type, array] of [
    [4, DATA_TYPES.float32, Float32Array.from({ length: 2000 }, (_, i) => i / 3)],
    [10, DATA_TYPES.float64, Float64Array.from({ length: 2000 }, (_, i) => i / 3)],
  ] as const) {
    const data = new Uint8Array(array.buffer);
    const tensor = concat(field(1, 2000), field(2, type), field(number, data), field(8, 'w'));
    const { bytes, path, name } = mapped(concat(wrap([]), field(7, field(5, tensor))));
    assert.deepEqual(restored(bytes, path, name).graph!.initializer[0]!.rawData, data);
  }
});

const RAW = new Uint8Array(8192);
/** 2048 floats as a field for each. */
const NOT_PACKED = concat(...Array.from({ length: 2048 }, () => concat(varint(4 * 8 + 5), new Uint8Array(4))));
const UNUSUAL: [title: string, tensor: Uint8Array][] = [
  ['data of another size than the dims say', concat(field(1, 2047), field(2, 1), field(9, RAW))],
  ['dims whose product is beyond 2^53', concat(field(1, 2 ** 40), field(1, 2 ** 40), field(2, 1), field(9, RAW))],
  ['a type of half a byte', concat(field(1, 16_384), field(2, DATA_TYPES.int4), field(9, RAW))],
  ['an unknown type', concat(field(1, 8192), field(2, 99), field(9, RAW))],
  ['data in two fields', concat(field(1, 2048), field(2, 1), field(9, RAW), field(9, RAW))],
  [
    'a list in two parts',
    concat(field(1, 2048), field(2, 1), field(4, RAW.subarray(4096)), field(4, RAW.subarray(4096))),
  ],
  ['a list that is not packed', concat(field(1, 2048), field(2, 1), NOT_PACKED)],
  ['a list of another type', concat(field(1, 4096), field(2, DATA_TYPES.float16), field(4, RAW))],
  ['elements as varints', concat(field(1, 8192), field(2, DATA_TYPES.int8), field(5, RAW))],
  ['an unknown field', concat(field(1, 2048), field(2, 1), field(9, RAW), field(99, 'x'))],
  ['a segment of a tensor', concat(field(1, 2048), field(2, 1), field(9, RAW), field(3, field(1, 0)))],
  ['external data already', concat(field(1, 2048), field(2, 1), field(9, RAW), field(14, 1))],
];
for (const [title, tensor] of UNUSUAL) {
  test(`${title}: the tensor stays as it is`, () => {
    const content = concat(wrap([]), field(7, field(5, concat(field(8, 'w'), tensor))));
    const { bytes, mappedBytes } = mapped(content);
    assert.equal(mappedBytes, 0);
    assert.deepEqual(bytes, content);
  });
}

test('tensors in attributes, of functions, and sparse ones stay as they are', () => {
  const t = create(TensorProtoSchema, { dataType: 1, dims: [2048n], rawData: RAW });
  const constant = node('Constant', [], ['c'], { value: t });
  const content = concat(wrap([], [constant]), field(7, field(15, field(1, RAW))), field(25, field(7, RAW)));
  const { bytes, mappedBytes } = mapped(content);
  assert.equal(mappedBytes, 0);
  assert.deepEqual(bytes, content);
});

test('damaged files are refused: none of their lengths is believed', () => {
  for (const title of ['a length beyond the file', 'a number without an end']) {
    assert.throws(() => mapped(WIRE[title]!, 1), { name: 'WireError' }, title);
  }
  // node, attribute, graph: the fields by which ONNX's messages nest, 1200 levels deep.
  let inner: Uint8Array = new Uint8Array();
  for (let i = 0; i < 1200; i++) inner = field([6, 5, 1][i % 3]!, inner);
  assert.throws(() => mapped(concat(wrap([]), field(7, inner)), 1), /more than 100 nested messages/);
});

test('the bytes that are read do not grow with the weights, nor faster than the nodes', () => {
  function bytesRead(content: Uint8Array): number {
    const bytes = openBytes(file('counted.onnx', content));
    let read = 0;
    const counted = {
      ...bytes,
      byte: (at: number) => {
        read++;
        return bytes.byte(at);
      },
    };
    mapWeights(counted, 'counted.onnx');
    bytes.close();
    return read;
  }
  const withWeights = (floats: number) => wrap([initializer('w', 'float32', [floats], new Float32Array(floats))]);
  assert.ok(bytesRead(withWeights(1_000_000)) - bytesRead(withWeights(2000)) < 20);

  /** Graphs in graphs, each with a weight and so many small ones beside it. */
  function deep(depth: number): Uint8Array {
    let body: GraphProto | undefined;
    for (let i = 0; i < depth; i++) {
      const nodes = body === undefined ? [] : [node('If', ['c'], ['z'], { then_branch: body })];
      body = graph({
        name: 'g',
        nodes,
        initializers: [initializer('w', 'float32', [1024], new Float32Array(1024))],
        inputs: [],
        outputs: [],
      });
    }
    return wrap([], [node('If', ['c'], ['y'], { then_branch: body! })]);
  }
  const ratio = bytesRead(deep(30)) / bytesRead(deep(15));
  assert.ok(ratio < 2.6, `twice the depth reads ${ratio} times the bytes`);
});
