import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Answer, call, type Json, metric } from '../../helpers/calls.ts';
import { type Host, type HostKind, withStoppedEngines } from '../../helpers/hosts.ts';
import { infer, inferBody, type Sent, sendInfer } from '../../helpers/open-inference.ts';
import { connect, postText } from '../../helpers/raw-http.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
/** The framework's JSON parser leaves this type alone. */
const OCTETS = { 'content-type': 'application/octet-stream' };
const ROW: Sent = { name: 'features', datatype: 'FP32', shape: [1, 4], data: '[5.1,3.5,1.4,0.2]' };

interface Failure {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Json;
}

/** The one error shape, whatever went wrong. */
export function assertRefused({ status, headers, json }: Failure, expected: number, code: string, text: RegExp): void {
  const { error, code: given, request_id } = typeof json === 'function' ? json() : json;
  assert.deepEqual([status, given], [expected, code], error);
  assert.equal(headers.get('content-type'), 'application/json');
  assert.equal(headers.get('x-request-id'), request_id);
  assert.match(error, text);
  assert.ok(error.length < 600, error);
}

/** The Open Inference Protocol with JSON alone, on the bundled iris model. MAX_BODY_BYTES of the host is 4096. */
export function openInference(host: () => Host, kind: HostKind): void {
  describe('the Open Inference Protocol', { concurrency: 1 }, () => {
    const ask = (path: string, init: RequestInit = {}): Promise<Answer> => call(host(), path, init);
    const refused = async (inputs: readonly Sent[], text: RegExp, more: object = {}): Promise<void> =>
      assertRefused(await infer(host(), 'iris', inputs, more), 400, 'INVALID_INPUT', text);

    test('server metadata has its three members, with and without a slash', async () => {
      for (const path of ['/v2', '/v2/']) {
        const { status, json } = await ask(path);
        assert.equal(status, 200);
        assert.deepEqual(Object.keys(json()), ['name', 'version', 'extensions']);
        // No token is configured: models cannot be loaded and settings cannot be changed, which is part of three more.
        const extensions = ['binary_tensor_data', 'classification', 'model_configuration', 'statistics'];
        assert.deepEqual([json().name, json().extensions], ['triton', extensions]);
      }
    });

    test('it is alive and ready', async () => {
      assert.deepEqual((await ask('/v2/health/live')).json(), { live: true });
      assert.deepEqual((await ask('/v2/health/ready')).json(), { ready: true, live: true });
      assert.deepEqual((await ask('/v2/models/iris/ready')).json(), { name: 'iris', ready: true });
      assert.deepEqual((await ask('/v2/models')).json(), { models: ['iris'] });
    });

    test('model metadata has what the model takes and gives', async () => {
      const expected = {
        name: 'iris',
        versions: ['1'],
        platform: 'onnx_onnxv1',
        inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 4] }],
        outputs: [
          { name: 'label', datatype: 'INT64', shape: [-1] },
          { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
        ],
      };
      for (const path of ['/v2/models/iris', '/v2/models/iris/versions/1']) {
        assert.deepEqual((await ask(path)).json(), expected);
      }
    });

    test('an unknown model and an unknown version are 404 on every route', async () => {
      for (const [model, error] of [
        ['tulip', /^Request for unknown model: 'tulip' is not found$/],
        ['iris/versions/9', /^Request for unknown model: 'iris' version 9 is not found$/],
      ] as const) {
        for (const route of ['', '/ready', '/stats', '/config']) {
          assertRefused(await ask(`/v2/models/${model}${route}`), 404, 'NOT_FOUND', error);
        }
        assertRefused(await infer(host(), model, [ROW]), 404, 'NOT_FOUND', error);
      }
    });

    test('infer answers as the protocol says, under the version, too', async () => {
      const body = inferBody([ROW], { id: 'a-1' }).text;
      const answers = [
        await sendInfer(host(), 'iris', body, JSON_TYPE),
        await sendInfer(host(), 'iris/versions/1', body, JSON_TYPE),
      ];
      assert.equal(answers[0]!.text, answers[1]!.text);
      const { status, headers, json, text } = answers[0]!;
      assert.deepEqual([status, headers.get('content-type')], [200, 'application/json']);
      assert.equal(headers.get('content-length'), String(Buffer.byteLength(text)));
      const { outputs, ...rest } = json;
      assert.deepEqual(rest, { model_name: 'iris', model_version: '1', id: 'a-1' });
      const [label, probabilities] = outputs;
      assert.deepEqual(label, { name: 'label', datatype: 'INT64', shape: [1], data: [0] });
      assert.deepEqual(
        [probabilities.name, probabilities.datatype, probabilities.shape],
        ['probabilities', 'FP32', [1, 3]],
      );
      // golden.json, made by the training script.
      for (const [i, expected] of [0.978393, 0.021607, 0.000001].entries()) {
        assert.ok(Math.abs(probabilities.data[i] - expected) < 1e-5, text);
      }
    });

    test('a flat and a nested request give the same bytes; the batch is in the first dimension', async () => {
      const flat = await infer(host(), 'iris', [{ ...ROW, shape: [2, 4], data: '[5.1,3.5,1.4,0.2,6.3,2.9,5.6,1.8]' }]);
      const nested = await infer(host(), 'iris', [
        { ...ROW, shape: [2, 4], data: '[[5.1,3.5,1.4,0.2],[6.3,2.9,5.6,1.8]]' },
      ]);
      assert.equal(nested.text, flat.text);
      const [label, probabilities] = flat.json.outputs;
      assert.deepEqual([label.shape, label.data], [[2], [0, 2]]);
      assert.deepEqual([probabilities.shape, probabilities.data.length], [[2, 3], 6]);
    });

    test('an id is given back only where there was one, and is a string', async () => {
      assert.equal('id' in (await infer(host(), 'iris', [ROW])).json, false);
      assert.equal((await infer(host(), 'iris', [ROW], { id: 'ø "1"' })).json.id, 'ø "1"');
      for (const id of [1, null, {}, true]) await refused([ROW], /^id: expected a string .*, got /, { id });
    });

    test('the outputs that were asked for come in that order, and no others', async () => {
      for (const names of [['probabilities'], ['probabilities', 'label'], ['label', 'probabilities']]) {
        const { json } = await infer(host(), 'iris', [ROW], { outputs: names.map((name) => ({ name })) });
        assert.deepEqual(
          json.outputs.map(({ name }: Json) => name),
          names,
        );
      }
      assert.equal((await infer(host(), 'iris', [ROW], { outputs: [] })).json.outputs.length, 2);
      const label = { name: 'label' };
      await refused([ROW], /^outputs\[1\]\.name: expected one of the outputs label, probabilities, got "odds"/, {
        outputs: [label, { name: 'odds' }],
      });
      await refused([ROW], /^outputs\[1\]\.name: the output "label" is requested twice/, { outputs: [label, label] });
      await refused([ROW], /^outputs\[0\]: expected an object/, { outputs: [5] });
      await refused([ROW], /^outputs: expected an array/, { outputs: 'label' });
    });

    test('inputs that are missing, unknown, doubled or none at all are refused by name', async () => {
      await refused([], /^inputs: the input features is missing/);
      await refused(
        [{ ...ROW, name: 'petals' }],
        /^inputs\[0\]\.name: expected one of the inputs features, got "petals"/,
      );
      await refused([ROW, ROW], /^inputs\[1\]: the input "features" is given twice/);
      for (const [body, error] of [
        ['{}', /^inputs: expected an array of tensors, got none/],
        ['{"inputs":{}}', /^inputs: expected an array of tensors, got an object/],
        ['{"inputs":[5]}', /^inputs\[0\]: expected an object/],
        ['{"inputs":[{"shape":[1]}]}', /^inputs\[0\]\.name: expected one of the inputs features/],
      ] as const) {
        assertRefused(await sendInfer(host(), 'iris', body, JSON_TYPE), 400, 'INVALID_INPUT', error);
      }
    });

    test('a wrong datatype, rank or dimension is refused with the expected and the given', async () => {
      await refused(
        [{ ...ROW, datatype: 'FP64' }],
        /^input features: inputs\[0\]\.datatype: expected FP32, got "FP64"/,
      );
      await refused([{ ...ROW, shape: [4] }], /^input features: inputs\[0\]\.shape: expected \[-1,4\].*got \[4\]/);
      await refused([{ ...ROW, shape: [1, 5] }], /^input features: inputs\[0\]\.shape: expected \[-1,4\].*got \[1,5\]/);
      for (const shape of ['[-1,4]', '[1.5,4]', '["1",4]', '[1099511627776,4]', '[9007199254740993,4]', '[null,4]']) {
        await refused(
          [{ ...ROW, shape }],
          /^input features: inputs\[0\]\.shape\[0\]: expected an integer from 0 to 2147483647, got /,
        );
      }
      await refused([{ ...ROW, shape: '4' }], /inputs\[0\]\.shape: expected an array of integers, got 4/);
    });

    test('data that does not fill its shape is refused before anything is made of it', async () => {
      await refused(
        [{ ...ROW, data: '[1,2,3]' }],
        /^input features: inputs\[0\]\.data: expected 4 values for shape \[1,4\], got 3/,
      );
      await refused(
        [{ ...ROW, shape: [2, 4], data: '[[1,2,3,4],[1,2,3]]' }],
        /inputs\[0\]\.data\[1\]: expected 4 values.*got 3/,
      );
      await refused([{ ...ROW, data: '5' }], /inputs\[0\]\.data: expected an array of values, got 5/);
      await refused([{ ...ROW, shape: [2_147_483_647, 4] }], /expected 8589934588 values for shape.*got 4/);
      const { data, ...none } = ROW;
      assert.ok(data);
      await refused([none], /^input features: inputs\[0\]: expected data, or .*it has neither/);
    });

    test('a value that is none of its datatype is refused with its place', async () => {
      for (const value of ['"x"', 'true', '1e39', '[1]', '{}']) {
        await refused(
          [{ ...ROW, data: `[1,2,${value},4]` }],
          /^input features: inputs\[0\]\.data\[2\]: expected a number/,
        );
      }
    });

    test('a batch of no rows gives outputs of none', async () => {
      const { status, json } = await infer(host(), 'iris', [{ ...ROW, shape: [0, 4], data: '[]' }]);
      assert.equal(status, 200);
      assert.deepEqual(
        json.outputs.map(({ shape, data }: Json) => [shape, data]),
        [
          [[0], []],
          [[0, 3], []],
        ],
      );
    });

    test('what is no object, or no JSON, is refused as JSON wherever the framework does not answer first', async () => {
      for (const [body, error] of [
        ['null', /^the body: expected an object with inputs, got null/],
        ['[]', /^the body: expected an object/],
        ['"x"', /^the body: expected an object/],
        ['1', /^the body: expected an object/],
        ['', /^the body is not valid JSON/],
        ['{"inputs":', /^the body is not valid JSON: expected a value at byte 10/],
      ] as const) {
        assertRefused(await sendInfer(host(), 'iris', body, OCTETS), 400, 'INVALID_INPUT', error);
        const answer = await fetch(`${host().url}/v2/models/iris/infer`, { method: 'POST', body, headers: JSON_TYPE });
        const text = await answer.text();
        // The framework parses JSON itself, and strictly: `[]` and no body at all get through.
        const html = kind === 'functions' && body !== '[]' && body !== '';
        assert.equal(answer.status, 400);
        assert.match(answer.headers.get('content-type') ?? '', html ? /^text\/html/ : /^application\/json$/);
        if (!html) assert.match(JSON.parse(text).error, error);
      }
    });

    test('parameters that mean nothing here are accepted, and what would change the answer is 501', async () => {
      const parameters = { sequence_id: 7, priority: 1, headers: 'x', triton_x: true, mine: 1.5 };
      assert.equal((await infer(host(), 'iris', [ROW], { parameters })).status, 200);
      await refused([ROW], /^parameters: expected an object, got 5/, { parameters: 5 });
      for (const timeout of ['soon', -1, 1.5, null]) {
        await refused([ROW], /^parameters\.timeout: expected microseconds/, { parameters: { timeout } });
      }
      const shared = { shared_memory_region: 'a' };
      for (const more of [{ outputs: [{ name: 'label', parameters: shared }] }, { parameters: shared }]) {
        assertRefused(await infer(host(), 'iris', [ROW], more), 501, 'UNSUPPORTED', /does not have that extension/);
      }
    });

    test('classification gives the highest scores of each row, with the classes of model.json', async () => {
      const outputs = [{ name: 'probabilities', parameters: { classification: 2 } }, { name: 'label' }];
      const two = { ...ROW, shape: [2, 4], data: '[5.1,3.5,1.4,0.2,6.3,2.9,5.6,1.8]' };
      const { json } = await infer(host(), 'iris', [two], { outputs });
      assert.deepEqual(json.outputs, [
        {
          name: 'probabilities',
          datatype: 'BYTES',
          shape: [2, 2],
          data: ['0.978393:0:setosa', '0.021607:1:versicolor', '0.777889:2:virginica', '0.221380:1:versicolor'],
        },
        { name: 'label', datatype: 'INT64', shape: [2], data: [0, 2] },
      ]);
    });

    test('any content type is taken, and none, as curl -d and clients of the protocol send them', async () => {
      const expected = (await infer(host(), 'iris', [ROW])).text;
      const { text } = inferBody([ROW]);
      for (const type of [
        'application/x-www-form-urlencoded',
        'text/plain',
        'text/csv',
        'Application/JSON; charset=utf-8',
        'application/vnd.kserve',
      ]) {
        const answer = await sendInfer(host(), 'iris', text, { 'content-type': type });
        assert.deepEqual([answer.status, answer.text], [200, expected], type);
      }
      const connection = connect(host());
      connection.send(postText('/v2/models/iris/infer', text, { 'content-type': undefined }));
      const answer = await connection.answer();
      connection.destroy();
      assert.deepEqual([answer.status, answer.body], [200, expected]);
    });

    test('other methods are 405 with Allow, and a body above MAX_BODY_BYTES 413', async () => {
      const wrong = await ask('/v2/models/iris/infer');
      assertRefused(wrong, 405, 'METHOD_NOT_ALLOWED', /takes POST, not GET/);
      assert.equal(wrong.headers.get('allow'), 'POST');
      assert.equal((await ask('/v2', { method: 'POST' })).headers.get('allow'), 'GET, HEAD');
      const text = inferBody([ROW]).text;
      const full = text.padEnd(4096);
      assert.equal((await sendInfer(host(), 'iris', full, JSON_TYPE)).status, 200);
      assertRefused(
        await sendInfer(host(), 'iris', `${full} `, JSON_TYPE),
        413,
        'TOO_LARGE',
        /4096 bytes \(MAX_BODY_BYTES\)/,
      );
      assert.equal((await infer(host(), 'iris', [ROW])).status, 200, 'the server serves on');
    });

    test('statistics count what was run, by version, and runs by their number of rows', async () => {
      const of = async (path: string) => (await ask(path)).json().model_stats;
      const [before] = await of('/v2/models/iris/stats');
      await infer(host(), 'iris', [{ ...ROW, shape: [3, 4], data: '[1,2,3,4,1,2,3,4,1,2,3,4]' }]);
      const [after, ...more] = await of('/v2/models/iris/versions/1/stats');
      assert.deepEqual([after.name, after.version, more], ['iris', '1', []]);
      assert.deepEqual(await of('/v2/models/stats'), [after]);
      assert.equal(after.inference_count, before.inference_count + 3);
      // On a busy machine, where runs seem to take long, a run may have fewer rows.
      const runs = after.execution_count - before.execution_count;
      assert.ok(runs >= 1 && runs <= 3, `${runs} runs`);
      const { success, fail, queue, compute_infer } = after.inference_stats;
      assert.equal(success.count, before.inference_stats.success.count + 1);
      assert.equal(fail.count, 0);
      assert.ok(success.ns > before.inference_stats.success.ns && queue.count >= 1);
      assert.equal(compute_infer.count, after.execution_count);
      assert.ok(Math.abs(after.last_inference - Date.now()) < 60_000);
      const rowsOf = (stats: Json): number =>
        stats.batch_stats.reduce((sum: number, each: Json) => sum + each.batch_size * each.compute_infer.count, 0);
      assert.equal(rowsOf(after), rowsOf(before) + 3);
    });
  });
}

/** `parameters.timeout` of a request. */
export function openInferenceTimeout(host: () => Host): void {
  describe('a timeout of the Open Inference Protocol', { concurrency: 1 }, () => {
    const input = (x: number): Sent[] => [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: `[${x}]` }];

    test('ends a request earlier than the server would, and never later', async () => {
      await withStoppedEngines(host(), async () => {
        const late = await infer(host(), 'slow', input(0), { parameters: { timeout: 200_000 } });
        assertRefused(late, 504, 'DEADLINE', /no response within 200000 µs \(parameters\.timeout\)/);
        assert.equal(await metric(host(), 'engine_processes', { state: 'busy' }), 1, 'it waited for the run');
      });
      for (const timeout of [0, 60_000_000, 9e15]) {
        assert.equal((await infer(host(), 'slow', input(0), { parameters: { timeout } })).status, 200);
      }
    });
  });
}

/** Requests without rows, and of several inputs, to the models `free` and `add`. */
export function openInferenceInputs(host: () => Host): void {
  describe('no rows, by the Open Inference Protocol', { concurrency: 1 }, () => {
    test('give the dimensions that a row would have, in JSON and in binary', async () => {
      const input: Sent = { name: 'x', datatype: 'FP32', shape: [0, 3], data: '[]' };
      const { status, json } = await infer(host(), 'free', [input]);
      assert.deepEqual([status, json.outputs], [200, [{ name: 'y', datatype: 'FP32', shape: [0, 3], data: [] }]]);
      const { data, ...rest } = input;
      assert.equal(data, '[]');
      const binary = await infer(host(), 'free', [{ ...rest, bytes: Buffer.alloc(0) }], {
        parameters: { binary_data_output: true },
      });
      assert.deepEqual(binary.json.outputs, [
        { name: 'y', datatype: 'FP32', shape: [0, 3], parameters: { binary_data_size: 0 } },
      ]);
    });
  });

  describe('several inputs of the Open Inference Protocol', { concurrency: 1 }, () => {
    const a: Sent = { name: 'a', datatype: 'FP32', shape: [1, 2], data: '[1,2]' };
    const b: Sent = { name: 'b', datatype: 'FP32', shape: [1, 2], data: '[10,20]' };

    test('come in any order, all of them, with one batch', async () => {
      for (const inputs of [
        [a, b],
        [b, a],
      ])
        assert.deepEqual((await infer(host(), 'add', inputs)).json.outputs[0].data, [11, 22]);
      assertRefused(await infer(host(), 'add', [a]), 400, 'INVALID_INPUT', /^inputs: the input b is missing/);
      const longer = { ...b, shape: [2, 2], data: '[1,2,3,4]' };
      assertRefused(
        await infer(host(), 'add', [a, longer]),
        400,
        'INVALID_INPUT',
        /expected one length for all inputs, got 1 for a and 2 for b/,
      );
    });
  });
}
