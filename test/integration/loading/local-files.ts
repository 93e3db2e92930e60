import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import {
  ask,
  BUCKET,
  fromBucket,
  LONG_AGO,
  tempFolder,
  untilReady,
  useStorage,
  withHost,
} from '../../helpers/bucket.ts';
import { call, type Json, predict } from '../../helpers/calls.ts';
import { classifier } from '../../helpers/exported-models.ts';
import { NOT_TOLD, untilLogged, useHost } from '../../helpers/hosts.ts';
import { addConstant, externalWeights, manyInputs, summed, writeModel } from '../../helpers/models.ts';

/** A model's objects, by path below its folder. */
type Files = Readonly<Record<string, Uint8Array>>;

/** Like `addConstant(1)`, of an operator set that does not exist yet. */
function future(): Uint8Array {
  return model({
    name: 'future',
    nodes: [node('Add', ['x', 'one'], ['y'])],
    initializers: [initializer('one', 'float32', [], [1])],
    inputs: [value('x', 'float32', ['N', 2])],
    outputs: [value('y', 'float32', ['N', 2])],
    opset: 99,
  });
}

function withWeights(location: string, at: string | null = location): Files {
  const { model, data } = externalWeights(location);
  return { 'model.onnx': model, ...(at !== null && { [at]: data }) };
}

const half = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length >> 1);

const GOOD: readonly (readonly [title: string, files: Files, features: Json, answer: Json])[] = [
  ['external data beside it', withWeights('model.onnx.data'), [1, 2], { prediction: [10, 20] }],
  ['external data as old exporters call it', withWeights('weights.bin'), [1, 2], { prediction: [10, 20] }],
  ['external data of any name', withWeights('fc1.weight_quantized'), [1, 2], { prediction: [10, 20] }],
  ['external data in a subfolder', withWeights('parts/a b/w.data'), [1, 2], { prediction: [10, 20] }],
  ['external data behind ./', withWeights('./model.onnx.data', 'model.onnx.data'), [1, 2], { prediction: [10, 20] }],
  ['inputs of text', { 'model.onnx': manyInputs() }, { age: [41], city: ['Rome'] }, { prediction: [241] }],
  [
    'a classifier of scikit-learn, with its ZipMap',
    { 'model.onnx': classifier(['setosa', 'versicolor', 'virginica']) },
    [0, 0, 9],
    {
      prediction: 'virginica',
      label: 'virginica',
      outputs: { output_label: 'virginica', output_probability: [0.00012, 0.00012, 0.99975] },
    },
  ],
  [
    'a classifier with numbers for classes',
    { 'model.onnx': classifier([10, 20]) },
    [9, 0],
    { prediction: 10, label: '10', outputs: { output_label: 10, output_probability: [0.99988, 0.00012] } },
  ],
];

const BAD: readonly (readonly [title: string, files: Files, error: RegExp])[] = [
  [
    'external data that is missing',
    withWeights('model.onnx.data', null),
    /gs:\/\/models\/repo\/bad-0\/model\.onnx keeps weights in model\.onnx\.data, which is not beside it: upload it too/,
  ],
  [
    'external data outside of its folder',
    withWeights('../good-0/model.onnx.data', null),
    /bad-1\/model\.onnx: its external data is at "\.\.\/good-0\/model\.onnx\.data", which is outside of the model's folder/,
  ],
  [
    'external data at an absolute path',
    withWeights('/etc/hostname', null),
    /bad-2\/model\.onnx: its external data is at "\/etc\/hostname", which is an absolute path/,
  ],
  [
    'what is no ONNX',
    { 'model.onnx': Buffer.from('<html>Sign in</html>') },
    /bad-3\/model\.onnx: expected an ONNX model, but found text: "<html>Sign in<\/html>"/,
  ],
  ['nothing in it', { 'model.onnx': new Uint8Array() }, /bad-4\/model\.onnx.*empty/],
  ['half of it', { 'model.onnx': half(summed(1, 4000)) }, /bad-5\/model\.onnx.*(cut short|truncated)/],
  [
    'an operator set to come',
    { 'model.onnx': future() },
    /bad-6\/model\.onnx: the model needs opset 99 of ai\.onnx, .* takes up to \d+/,
  ],
  [
    'a model.json that is none',
    { 'model.onnx': addConstant(1), 'model.json': Buffer.from('{') },
    /bad-7\/model\.json is not JSON/,
  ],
  [
    'external data that is cut short',
    { ...withWeights('model.onnx.data'), 'model.onnx.data': new Uint8Array(4) },
    /bad-8\/model\.onnx: the external data is cut short: the tensor w needs bytes 0 to 8 of a file of 4 bytes/,
  ],
];

/** CPUs differ in the last digits of a softmax. */
const rounded = (_: string, value: unknown): unknown => (typeof value === 'number' ? Number(value.toFixed(5)) : value);

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Models as tools write them and people upload them. */
export function peopleFiles(): void {
  describe('files as people have them', { concurrency: 3 }, () => {
    const storage = useStorage({}, ({ put }) => {
      const upload = (name: string, files: Files): void => {
        for (const [path, bytes] of Object.entries(files)) put(BUCKET, `repo/${name}/${path}`, bytes, LONG_AGO);
      };
      for (const [i, [, files]] of GOOD.entries()) upload(`good-${i}`, files);
      for (const [i, [, files]] of BAD.entries()) upload(`bad-${i}`, files);
      upload('main', { 'model.onnx': addConstant(0) });
      for (const [path, bytes] of Object.entries(withWeights('fraud.onnx.data'))) {
        put(BUCKET, `single/${path === 'model.onnx' ? 'fraud.onnx' : path}`, bytes, LONG_AGO);
      }
    });
    const host = useHost('container', () =>
      fromBucket(storage(), 'repo', { MODEL_NAME: 'main', MODEL_MEMORY_BUDGET: String(2 ** 29) }),
    );

    for (const [i, [title, , features, expected]] of GOOD.entries()) {
      test(`${title}: it serves`, async () => {
        const answer = await ask(host(), `good-${i}`, features);
        assert.equal(answer.status, 200, answer.text);
        const given = JSON.parse(answer.text, rounded);
        assert.deepEqual({ ...given, ...expected }, given);
      });
    }

    for (const [i, [title, , error]] of BAD.entries()) {
      test(`${title}: it says so`, async () => {
        const { status, json } = await ask(host(), `bad-${i}`, [1, 2]);
        assert.deepEqual([status, json().code], [503, 'NOT_READY']);
        assert.match(json().error, NOT_TOLD);
        await untilLogged(host(), error);
        assert.equal((await call(host(), '/ready')).status, 200);
      });
    }

    test('one .onnx object, with external data beside it', () =>
      withHost(fromBucket(storage(), 'single/fraud.onnx'), async (other) => {
        await untilReady(other);
        const { prediction, model } = (await predict(other, [1, 2])).json();
        assert.deepEqual([prediction, model], [[10, 20], { name: 'fraud', version: '1' }]);
      }));

    for (const place of ['a bucket', 'a local folder'] as const) {
      const env = (sum: string) => {
        const local = writeModel(tempFolder(), 'main', addConstant(0));
        const uri = place === 'a bucket' ? {} : { MODEL_URI: local };
        return fromBucket(storage(), 'repo/main', { ...uri, MODEL_SHA256: sum });
      };

      test(`MODEL_SHA256 that is right, of ${place}: it serves`, () =>
        withHost(env(sha256(addConstant(0)).toUpperCase()), async (other) => {
          assert.deepEqual((await predict(other, [1, 2])).json().prediction, [1, 2]);
        }));

      test(`MODEL_SHA256 that is another, of ${place}: it says both`, () =>
        withHost(env(sha256(addConstant(1))), async (other) => {
          const { status, json } = await predict(other, [1, 2]);
          assert.equal(status, 503);
          assert.match(json().error, NOT_TOLD);
          const both = `main/model.onnx: its SHA-256 is ${sha256(addConstant(0))}, MODEL_SHA256 is ${sha256(addConstant(1))}`;
          const logged = await untilLogged(other, /its SHA-256 is/);
          assert.ok(logged.endsWith(both), logged);
        }));
    }

    test('external data on a local disk: in a subfolder it serves, outside of the folder it is refused', async () => {
      for (const location of ['parts/w.data', '../w.data']) {
        const folder = tempFolder();
        const { model, data } = externalWeights(location);
        const MODEL_URI = writeModel(folder, 'main', model);
        mkdirSync(join(MODEL_URI, 'parts'));
        writeFileSync(join(MODEL_URI, location), data);
        await withHost({ MODEL_URI, INFERENCE_PROCESSES: '1' }, async (other) => {
          const { status, json } = await predict(other, [1, 2]);
          const { error, prediction } = json();
          assert.equal(status, location.startsWith('..') ? 503 : 200);
          if (status === 200) assert.deepEqual(prediction, [10, 20]);
          else {
            assert.match(error, NOT_TOLD);
            await untilLogged(other, /main\/model\.onnx: its external data is at "\.\.\/w\.data", which is outside of/);
          }
        });
      }
    });
  });
}
