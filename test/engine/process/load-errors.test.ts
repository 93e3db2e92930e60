import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { loadError } from '../../../functions/engine/process/load-errors.ts';
import { openSession } from '../../../functions/engine/process/session.ts';
import { type ModelParts, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { writeModel as encodeModel } from '../../../functions/onnx/proto/write.ts';
import { externalWeights, unknownOperator, writeModel } from '../../helpers/models.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'load-refusal-'));
after(() => rmSync(folder, { recursive: true }));

const identity = (versions: Partial<ModelParts>): Uint8Array =>
  model({
    name: 'identity',
    nodes: [node('Identity', ['x'], ['y'])],
    inputs: [value('x', 'float32', ['N'])],
    outputs: [value('y', 'float32', ['N'])],
    ...versions,
  });

/** `Foo` of a domain that onnxruntime does not know. */
function custom(domain: string, imported: boolean): Uint8Array {
  const parsed = readModel(identity({ nodes: [node('Foo', ['x'], ['y'], {}, { name: 'the foo', domain })] }), domain);
  if (imported) parsed.opsetImport.push({ $typeName: 'onnx.OperatorSetIdProto', domain, version: 1n });
  return encodeModel(parsed);
}

function untyped(): Uint8Array {
  const parsed = readModel(identity({ nodes: [node('Cast', ['x'], ['y'], { to: 16n })] }), 'untyped');
  delete parsed.graph!.output[0]!.type;
  return encodeModel(parsed);
}

/** A model with external data at `location`, of which the file has `bytes` bytes; undefined where it is not there. */
interface External {
  readonly location: string;
  readonly bytes: number | undefined;
}

const REFUSED: [title: string, model: Uint8Array | External, message: RegExp][] = [
  [
    'a newer opset',
    identity({ opset: 99 }),
    /^the model needs opset 99 of ai\.onnx, this server's onnxruntime takes up to (\d+): export it with opset_version=\1 or lower$/,
  ],
  [
    'a newer opset of ai.onnx.ml',
    identity({ mlOpset: 99 }),
    /^the model needs opset 99 of ai\.onnx\.ml, this server's onnxruntime takes up to \d+: export it with a lower opset$/,
  ],
  [
    'a newer IR version',
    identity({ irVersion: 99 }),
    /^the model is of IR version 99, this server's onnxruntime takes up to (\d+): .*set its ir_version to \1/,
  ],
  [
    'an external data file that is missing',
    { location: 'weights/w 1.bin', bytes: undefined },
    /^the external data file weights\/w 1\.bin is missing \(.*\/weights\/w 1\.bin\): put it beside the model, under that name$/,
  ],
  [
    'a truncated external data file',
    { location: 'w.bin', bytes: 4 },
    /^the external data is cut short: the tensor w needs bytes 0 to 8 of a file of 4 bytes \(w\.bin\): copy it again$/,
  ],
  [
    'an external data file outside the folder',
    { location: '../w.bin', bytes: 8 },
    /^the external data file \.\.\/w\.bin lies outside the model's folder: put it beside the model, and save the model with that location/,
  ],
  [
    'an external data file by an absolute path',
    { location: '/srv/w.bin', bytes: undefined },
    /^the model names its external data by an absolute path \(\/srv\/w\.bin\): put it beside the model, and save/,
  ],
  [
    'an operator that the opset does not have',
    unknownOperator(),
    /^the operator NoSuchOperator of the domain ai\.onnx is not in opset 17 of that domain: export the model with an opset/,
  ],
  [
    'a custom operator',
    custom('my.ops', true),
    /^the operator Foo of the domain my\.ops \(node the foo\) is not one of onnxruntime's; this server loads no custom operators: export/,
  ],
  [
    'a custom operator whose domain is not imported',
    custom('my.ops', false),
    /^the operator Foo of the domain my\.ops \(node the foo\) is in a domain for which the model has no opset_import; this server loads no custom/,
  ],
  [
    'an operator without a kernel for its dtype',
    identity({
      nodes: [
        node('Cast', ['x'], ['i'], { to: 22n }),
        node('Flatten', ['i'], ['f'], {}, { name: 'i4' }),
        node('Cast', ['f'], ['y'], { to: 1n }),
      ],
      outputs: [value('y', 'float32', [1, 'N'])],
      opset: 21,
      irVersion: 10,
    }),
    /^onnxruntime has no implementation of the operator Flatten of opset 21 \(node i4\) for the dtypes/,
  ],
  [
    'an operator that does not take a dtype',
    identity({ nodes: [node('Softmax', ['x'], ['y'], {}, { name: 's' })], inputs: [value('x', 'int64', ['N'])] }),
    /^the operator Softmax \(node s\) does not take x, which is tensor\(int64\): export the model with another dtype there/,
  ],
  [
    'an output of a type that the file leaves open',
    untyped(),
    /^an output whose type the file leaves open is tensor\(bfloat16\), which onnxruntime-node cannot return: export it as float32/,
  ],
];
for (const [title, given, message] of REFUSED) {
  test(`${title}: the error says what to do`, async () => {
    const name = title.replaceAll(' ', '-');
    const bytes = given instanceof Uint8Array ? given : externalWeights(given.location).model;
    const path = join(writeModel(folder, name, bytes), 'model.onnx');
    if (!(given instanceof Uint8Array) && given.bytes !== undefined) {
      const data = join(dirname(path), given.location);
      mkdirSync(dirname(data), { recursive: true });
      writeFileSync(data, new Uint8Array(given.bytes));
    }
    await assert.rejects(openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] }), { message });
  });
}

test("an unknown error keeps onnxruntime's text, and a known one is the cause of the new error", () => {
  const own = new Error('Exception during initialization: out of memory');
  const model = { path: 'model.onnx', external: [] };
  assert.equal(loadError(own, model), own);
  assert.equal(loadError('out of memory', model).message, 'out of memory');
  const known = new Error('Unsupported model IR version: 14, max supported IR version: 13');
  assert.equal(loadError(known, model).cause, known);
});
