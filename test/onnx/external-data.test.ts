import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { DATA_LOCATION, DATA_TYPES } from '../../functions/onnx/data-type.ts';
import { inspectModel } from '../../functions/onnx/inspect.ts';
import { graph, node, value } from '../../functions/onnx/proto/build.ts';
import {
  AttributeProtoSchema,
  FunctionProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  SparseTensorProtoSchema,
  TensorProtoSchema,
} from '../../functions/onnx/proto/onnx_pb.ts';
import { writeModel } from '../../functions/onnx/proto/write.ts';
import { tempFiles } from '../helpers/temp-file.ts';

const file = tempFiles('external-data-');
let files = 0;

const tensor = (location: string, dataLocation: number = DATA_LOCATION.external) =>
  create(TensorProtoSchema, {
    name: 'w',
    dataType: DATA_TYPES.float32,
    dims: [1n],
    dataLocation,
    externalData: [
      { key: 'offset', value: '0' },
      { key: 'location', value: location },
      { key: 'length', value: '4' },
    ],
  });
const sparse = (values: string, indices: string) =>
  create(SparseTensorProtoSchema, { values: tensor(values), indices: tensor(indices), dims: [9n] });

/** A node with one attribute, which has what `content` says. */
function withAttribute(content: object): NodeProto {
  const constant = node('Constant', [], ['c']);
  constant.attribute.push(create(AttributeProtoSchema, { name: 'value', ...content }));
  return constant;
}

const nested = (...nodes: NodeProto[]) => graph({ name: 'nested', nodes, inputs: [], outputs: [] });

function externalOf(change: (model: ModelProto) => void): readonly string[] {
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ version: 17n }],
    graph: graph({ name: 'g', nodes: [], inputs: [value('x', 'float32', [1])], outputs: [value('y', 'float32', [1])] }),
  });
  change(model);
  return inspectModel(file(`${files++}.onnx`, writeModel(model))).external;
}

const PLACES: [title: string, change: (model: ModelProto) => void, external: string[]][] = [
  [
    'initializers, each file once',
    ({ graph }) => graph!.initializer.push(tensor('a'), tensor('b c/d.e'), tensor('a')),
    ['a', 'b c/d.e'],
  ],
  ['sparse initializers', ({ graph }) => graph!.sparseInitializer.push(sparse('v', 'i')), ['v', 'i']],
  ['a tensor in an attribute', ({ graph }) => graph!.node.push(withAttribute({ t: tensor('t') })), ['t']],
  [
    'tensors in an attribute',
    ({ graph }) => graph!.node.push(withAttribute({ tensors: [tensor('t'), tensor('u')] })),
    ['t', 'u'],
  ],
  [
    'a sparse tensor in an attribute',
    ({ graph }) => graph!.node.push(withAttribute({ sparseTensor: sparse('v', 'i') })),
    ['v', 'i'],
  ],
  [
    'a graph in an attribute',
    ({ graph }) => graph!.node.push(withAttribute({ g: nested(withAttribute({ t: tensor('t') })) })),
    ['t'],
  ],
  [
    'graphs in an attribute',
    ({ graph }) => graph!.node.push(withAttribute({ graphs: [nested(), nested(withAttribute({ t: tensor('t') }))] })),
    ['t'],
  ],
  [
    'a function of the model',
    (model) =>
      model.functions.push(create(FunctionProtoSchema, { name: 'f', node: [withAttribute({ t: tensor('t') })] })),
    ['t'],
  ],
  ['no tensor that has its own data', ({ graph }) => graph!.initializer.push(tensor('a', DATA_LOCATION.default)), []],
];
for (const [title, change, external] of PLACES) {
  test(`external data is found in ${title}`, () => assert.deepEqual(externalOf(change), external));
}
