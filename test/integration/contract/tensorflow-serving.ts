import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Answer, call, metric, post } from '../../helpers/calls.ts';
import { type HostKind, useHost } from '../../helpers/hosts.ts';
import {
  addConstant,
  fixedBatch,
  manyInputs,
  notFinite,
  poisonable,
  rowsSeeEachOther,
  twoOutputs,
  writeModel,
} from '../../helpers/models.ts';

const MODELS = {
  half: addConstant(0.5),
  two: twoOutputs(),
  people: manyInputs(),
  log: notFinite(),
  poison: poisonable(),
  fixed: fixedBatch(),
  mean: rowsSeeEachOther(),
} as const;
const OK = { error_code: 'OK', error_message: '' };

/** TensorFlow Serving's REST API. */
export function tensorFlowServing(kind: HostKind): void {
  describe('TensorFlow Serving', { concurrency: 1 }, () => {
    const root = mkdtempSync(join(tmpdir(), 'tensorflow-serving-'));
    after(() => rmSync(root, { recursive: true }));
    const host = useHost(kind, () => {
      for (const [name, model] of Object.entries(MODELS)) writeModel(root, name, model);
      writeModel(root, 'team/a:b/1', addConstant(1));
      writeModel(root, 'team/a:b/2', addConstant(2));
      return { MODEL_URI: root, MODEL_NAME: 'half', INFERENCE_PROCESSES: '1' };
    });
    const predict = (model: string, body: unknown): Promise<Answer> =>
      post(host(), `/v1/models/${model}:predict`, body);

    async function assertAnswer(model: string, body: unknown, expected: unknown): Promise<void> {
      const { status, headers, text } = await predict(model, body);
      assert.equal(status, 200, text);
      assert.equal(headers.get('content-type'), 'application/json');
      assert.deepEqual(JSON.parse(text), expected);
    }

    async function assertRefused(answer: Answer, status: number, code: string, error: RegExp): Promise<void> {
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [status, 'application/json']);
      assert.equal(answer.json().code, code);
      assert.match(answer.json().error, error);
    }

    test('rows give predictions, columns give outputs', async () => {
      await assertAnswer(
        'half',
        {
          instances: [
            [1, 2],
            [3, 4],
          ],
        },
        {
          predictions: [
            [1.5, 2.5],
            [3.5, 4.5],
          ],
        },
      );
      await assertAnswer(
        'half',
        {
          inputs: [
            [1, 2],
            [3, 4],
          ],
        },
        {
          outputs: [
            [1.5, 2.5],
            [3.5, 4.5],
          ],
        },
      );
      await assertAnswer(
        'half',
        { inputs: { x: [[1, 2]] }, signature_name: 'serving_default' },
        { outputs: [[1.5, 2.5]] },
      );
    });

    test('several inputs and outputs go by name, in rows and in columns', async () => {
      const instances = [
        { x: [5], z: [1, 2] },
        { z: [3, 4], x: [6] },
      ];
      await assertAnswer(
        'two',
        { instances },
        {
          predictions: [
            { i: [6], r: 3 },
            { i: [7], r: 7 },
          ],
        },
      );
      const inputs = {
        x: [[5], [6]],
        z: [
          [1, 2],
          [3, 4],
        ],
      };
      await assertAnswer('two', { inputs }, { outputs: { i: [[6], [7]], r: [3, 7] } });
    });

    test('bytes stand for texts', async () => {
      const rome = { b64: Buffer.from('Rome').toString('base64') };
      const instances = [
        { age: 1, city: 'Oslo' },
        { age: [2], city: rome },
      ];
      await assertAnswer('people', { instances }, { predictions: [[101], [202]] });
      await assertAnswer('people', { inputs: { age: [1, 2], city: ['Oslo', rome] } }, { outputs: [[101], [202]] });
      const bad = await predict('people', { instances: [instances[0], { age: 1, city: { b64: '/w==' } }] });
      await assertRefused(bad, 400, 'INVALID_INPUT', /^instances\[1\]\.city: the bytes are not UTF-8/);
    });

    test('what is no number is a text: the answer is JSON', async () => {
      await assertAnswer('log', { instances: [[1], [0], [-1]] }, { predictions: [[0], ['-Infinity'], ['NaN']] });
    });

    // The functions framework reads JSON before this server does, and strictly.
    if (kind === 'container') {
      test('NaN and Infinity without quotes, as Python writes them, are floats: in a small body and in a large one', async () => {
        await assertAnswer('half', '{"instances":[[1,NaN],[-Infinity,2]]}', {
          predictions: [
            [1.5, 'NaN'],
            ['-Infinity', 2.5],
          ],
        });
        const count = 20_000;
        const { status, json } = await predict('half', `{"inputs":[${'[NaN,1],'.repeat(count)}[1,1]]}`);
        assert.deepEqual([status, json().outputs.length, json().outputs[0]], [200, count + 1, ['NaN', 1.5]]);
      });

      test('a byte order mark before a body is skipped', async () => {
        await assertAnswer('half', '\ufeff{"instances":[[1,2]]}', { predictions: [[1.5, 2.5]] });
        const refused = await post(host(), '/predict', '\ufeff{"features":[1,NaN]}');
        await assertRefused(refused, 400, 'INVALID_INPUT', /send "NaN", "Infinity" or "-Infinity" in quotes/);
      });
    }

    test('a thousand instances give as many predictions in the same order, also from a body of megabytes', async () => {
      const instances = Array.from({ length: 1000 }, (_, i) => [i, -i]);
      const predictions = instances.map(([a, b]) => [a! + 0.5, b! + 0.5]);
      await assertAnswer('half', { instances }, { predictions });
      await assertAnswer('half', { inputs: instances }, { outputs: predictions });
      const padding = ' '.repeat(2 ** 21);
      await assertAnswer('half', `{"instances":${padding}${JSON.stringify(instances)}}`, { predictions });
      await assertAnswer('half', `{"inputs":${padding}${JSON.stringify(instances)}}`, { outputs: predictions });
      const bad = await predict('half', `{"instances":${padding}[[1,2],[1]]}`);
      await assertRefused(bad, 400, 'INVALID_INPUT', /^instances\[1\]: expected 2 values, got 1/);
    });

    test('models that take one row at a time are run once for each', async () => {
      await assertAnswer(
        'fixed',
        {
          instances: [
            [1, 2, 3, 4],
            [5, 6, 7, 8],
          ],
        },
        {
          predictions: [
            [3, 7],
            [11, 15],
          ],
        },
      );
      await assertAnswer('fixed', { inputs: [[1, 2, 3, 4]] }, { outputs: [[3, 7]] });
      // Each less the mean of itself alone; as one tensor, less the mean of both.
      await assertAnswer(
        'mean',
        {
          instances: [
            [1, 2, 3],
            [3, 4, 5],
          ],
        },
        {
          predictions: [
            [0, 0, 0],
            [0, 0, 0],
          ],
        },
      );
      await assertAnswer(
        'mean',
        {
          inputs: [
            [1, 2, 3],
            [3, 4, 5],
          ],
        },
        {
          outputs: [
            [-1, -1, -1],
            [1, 1, 1],
          ],
        },
      );
    });

    test('an instance on which the model fails fails its request, by its place', async () => {
      const failed = await predict('poison', { instances: [[1], [2], [-3], [4]] });
      await assertRefused(failed, 500, 'MODEL_FAILED', /^instances\[2\]: the model failed on this input: /);
      assert.equal(failed.json().path, 'instances[2]');
      await assertAnswer('poison', { instances: [[1], [2]] }, { predictions: [[2], [4]] });
    });

    test('the number of rows is counted', async () => {
      const rows = () => metric(host(), 'predictions_total', { model: 'half', outcome: 'ok' });
      const before = await rows();
      await predict('half', {
        instances: [
          [1, 2],
          [3, 4],
        ],
      });
      await predict('half', {
        inputs: [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
      });
      assert.equal((await rows()) - before, 5);
    });

    test('any content type is taken for JSON, as curl -d has none of it; gzip is inflated', async () => {
      const text = '{"instances":[[1,2]]}';
      const expected = { predictions: [[1.5, 2.5]] };
      for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/json; charset=utf-8']) {
        const answer = await post(host(), '/v1/models/half:predict', text, { 'content-type': type });
        assert.deepEqual([answer.status, answer.json()], [200, expected], type);
      }
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
      const zipped = await call(host(), '/v1/models/half:predict', { method: 'POST', body: gzipSync(text), headers });
      assert.deepEqual(zipped.json(), expected);
    });

    test('versions are named by their number; the name ends at the last colon', async () => {
      const name = encodeURIComponent('team/a:b');
      await assertAnswer(name, { instances: [[1, 2]] }, { predictions: [[3, 4]] });
      await assertAnswer(`${name}/versions/1`, { instances: [[1, 2]] }, { predictions: [[2, 3]] });
      await assertRefused(await predict(`${name}/versions/9`, {}), 404, 'NOT_FOUND', /has no version 9/);
    });

    test('the status of a model names its versions', async () => {
      const path = `/v1/models/${encodeURIComponent('team/a:b')}`;
      const { json } = await call(host(), path);
      assert.deepEqual(json().model_version_status, [
        { version: '2', state: 'AVAILABLE', status: OK },
        { version: '1', state: 'AVAILABLE', status: OK },
      ]);
      const one = await call(host(), `${path}/versions/1`);
      assert.deepEqual(one.json().model_version_status, [{ version: '1', state: 'AVAILABLE', status: OK }]);
      const main = await call(host(), '/v1/models/half');
      assert.deepEqual(main.json(), {
        name: 'half',
        ready: true,
        model_version_status: [{ version: '1', state: 'AVAILABLE', status: OK }],
      });
    });

    test("KServe's v1 client finds the models, whether one is ready, and that there are no explainers", async () => {
      const { models } = (await call(host(), '/v1/models')).json();
      assert.ok(models.includes('half') && models.includes('team/a:b'), String(models));
      const { name, ready } = (await call(host(), '/v1/models/half')).json();
      assert.deepEqual([name, ready], ['half', true]);
      for (const version of ['', '/versions/1']) {
        const answer = await post(host(), `/v1/models/half${version}:explain`, '{"instances":[[1,2]]}');
        await assertRefused(answer, 501, 'UNSUPPORTED', /no explainers/);
      }
    });

    test('the metadata of a model has its signature', async () => {
      const path = '/v1/models/two/versions/1/metadata';
      const unloaded = await call(host(), path);
      if (unloaded.status !== 200) {
        await assertRefused(unloaded, 503, 'NOT_READY', /not loaded: its first prediction loads it/);
        assert.equal((await post(host(), '/models/two/predict', { features: { x: [1], z: [1, 2] } })).status, 200);
      }
      const { status, json } = await call(host(), path);
      assert.equal(status, 200);
      assert.deepEqual(json().model_spec, { name: 'two', signature_name: '', version: '1' });
      const { inputs, outputs } = json().metadata.signature_def.signature_def.serving_default;
      assert.deepEqual([inputs.x.dtype, inputs.z.dtype, outputs.i.dtype], ['DT_INT64', 'DT_DOUBLE', 'DT_INT64']);
      const dim = [
        { size: '-1', name: '' },
        { size: '2', name: '' },
      ];
      assert.deepEqual(inputs.z.tensor_shape, { dim, unknown_rank: false });
    });

    test('what is not there is not found, and what ONNX has no use for is not implemented', async () => {
      for (const path of ['/v1/models/no', '/v1/models/no/metadata', '/v1/models/half/versions/9']) {
        await assertRefused(await call(host(), path), 404, 'NOT_FOUND', /there is no model no|no version 9/);
      }
      await assertRefused(await predict('no', '{"instances":[1]}'), 404, 'NOT_FOUND', /there is no model no/);
      const labelled = '/v1/models/half/labels/stable';
      await assertRefused(await post(host(), `${labelled}:predict`, '{}'), 404, 'NOT_FOUND', /no version label stable/);
      await assertRefused(await call(host(), labelled), 404, 'NOT_FOUND', /no version label stable/);
      await assertRefused(await call(host(), `${labelled}/metadata`), 404, 'NOT_FOUND', /no version label stable/);
      for (const verb of ['classify', 'regress']) {
        const answer = await post(host(), `/v1/models/half:${verb}`, '{"examples":[{"x":1}]}');
        await assertRefused(answer, 501, 'UNSUPPORTED', /tf\.train\.Example/);
      }
      const wrong = await call(host(), '/v1/models/half:predict');
      await assertRefused(wrong, 405, 'METHOD_NOT_ALLOWED', /takes POST/);
      assert.equal(wrong.headers.get('allow'), 'POST');
    });

    test('a body that is no request is refused', async () => {
      const bodies: [string, RegExp][] = [
        ['{}', /neither instances nor inputs/],
        ['{"instances":[[1,2]],"inputs":[[1,2]]}', /instances and inputs/],
        ['{"instances":[]}', /at least one instance/],
        ['{"instances":[[1,2,3]]}', /expected 2 values.*got 3/],
        ['{"signature_name":"other","instances":[[1,2]]}', /serving_default/],
        ['[]', /expected an object/],
      ];
      for (const [body, error] of bodies) await assertRefused(await predict('half', body), 400, 'INVALID_INPUT', error);
    });
  });
}
