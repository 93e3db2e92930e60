import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import type { Json } from '../../helpers/calls.ts';
import { type HostKind, useHost } from '../../helpers/hosts.ts';
import { identity, simple, simpleString, writeModel } from '../../helpers/models.ts';
import { texts } from '../../helpers/open-inference.ts';
import { connect, type RawAnswer } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

const TOKEN = 'a-token-of-some-length';
const COUNT_UP = Int32Array.from({ length: 16 }, (_, i) => i);
const MINUS_ONES = new Int32Array(16).fill(-1);
const ONES = new Int32Array(16).fill(1);
const int32Bytes = (values: Int32Array): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** An `InferInput` as `_get_tensor` writes it; members in its order, and compact, as python-rapidjson does. */
const inputOf = (name: string, datatype: string, data: readonly (number | string)[] | Buffer, shape = [1, 16]) =>
  Buffer.isBuffer(data)
    ? { name, shape, datatype, parameters: { binary_data_size: data.length } }
    : { name, shape, datatype, data };
/** An `InferRequestedOutput`. */
const outputOf = (name: string, binary: boolean, classes = 0) => ({
  name,
  parameters: { ...(classes > 0 && { classification: classes }), binary_data: binary },
});

/** What `InferResult` makes of an answer: the JSON, and each output's elements by name. */
function resultOf({ status, headers, bytes }: RawAnswer): Json {
  assert.equal(status, 200, bytes.toString());
  const coding = headers['content-encoding'];
  const body = coding === 'gzip' ? gunzipSync(bytes) : coding === 'deflate' ? inflateSync(bytes) : bytes;
  const length = headers['inference-header-content-length'];
  const split = length === undefined ? body.length : Number(length);
  const json = JSON.parse(body.toString('utf8', 0, split));
  const outputs: Record<string, unknown[]> = {};
  let at = split;
  for (const { name, datatype, data, parameters } of json.outputs) {
    const size = parameters?.binary_data_size;
    if (size === undefined) outputs[name] = data;
    else {
      const slice = body.subarray(at, at + size);
      outputs[name] = datatype === 'BYTES' ? unpack(slice) : [...new Int32Array(Uint8Array.from(slice).buffer)];
      at += size;
    }
  }
  assert.equal(at, body.length, 'no bytes are left');
  return { json, outputs };
}

/** `deserialize_bytes_tensor` of tritonclient. */
function unpack(bytes: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at);
    found.push(bytes.toString('utf8', at + 4, end));
    at = end;
  }
  return found;
}

/**
 * The requests that Triton's example clients make (triton-inference-server/client, src/python/examples; tritonclient/http), with the
 * bytes that tritonclient puts on the wire, and what they compare in the answers.
 */
export function tritonClients(kind: HostKind): void {
  describe("Triton's clients", { concurrency: 1 }, () => {
    const root = mkdtempSync(join(tmpdir(), 'triton-clients-'));
    after(() => rmSync(root, { recursive: true }));
    // The image has it mounted below its own name.
    const models = join(root, 'models');
    writeModel(models, 'simple/1', simple());
    writeModel(models, 'simple_string/1', simpleString());
    writeModel(models, 'images/1', identity('float32', ['N', 3, 1, 1], { input: 'data', output: 'prob' }), {
      classes: ['ant', 'bee', 'cow'],
    });
    writeFileSync(join(models, 'token'), TOKEN);
    const host = useHost(kind, () => ({
      MODEL_URI: models,
      MODEL_NAME: 'simple_string',
      ADMIN_TOKEN_FILE: kind === 'image' ? '/srv/models/token' : join(models, 'token'),
      INFERENCE_PROCESSES: '1',
      MAX_BATCH_SIZE: '8',
    }));

    /** One request as geventhttpclient writes it: no content type, and no length for no body. */
    async function send(
      method: 'GET' | 'POST',
      path: string,
      body = Buffer.alloc(0),
      headers: object = {},
    ): Promise<RawAnswer> {
      const connection = connect(host());
      const fields = {
        'User-Agent': 'python/gevent-http-client-2.3.1',
        Host: `localhost:${host().port}`,
        ...headers,
        ...(body.length > 0 && { 'Content-Length': body.length }),
      };
      const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
      connection.send(Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n`), body]));
      const answer = await connection.answer();
      connection.destroy();
      return answer;
    }
    const get = (path: string) => send('GET', path);
    const post = (path: string, body: unknown = '', headers: object = {}) =>
      send('POST', path, Buffer.from(body === '' ? '' : JSON.stringify(body)), headers);
    const admin = { Authorization: `Bearer ${TOKEN}` };

    /** `InferenceServerClient.infer`. @param blobs the inputs' binary data, in order. */
    function infer(
      model: string,
      request: object,
      blobs: readonly Buffer[],
      headers: object = {},
      query = '',
    ): Promise<RawAnswer> {
      const text = Buffer.from(JSON.stringify(request));
      const length = blobs.length === 0 ? {} : { 'Inference-Header-Content-Length': text.length };
      const body = Buffer.concat([text, ...blobs]);
      const { 'Content-Encoding': coding } = headers as Record<string, string>;
      const sent = coding === 'gzip' ? gzipSync(body) : coding === 'deflate' ? deflateSync(body) : body;
      return send('POST', `/v2/models/${model}/infer${query}`, sent, { ...headers, ...length });
    }
    const errorOf = ({ body }: RawAnswer): string => JSON.parse(body).error;

    test('simple_http_health_metadata.py finds the server and the model, and no other', async () => {
      assert.equal((await get('/v2/health/live?test_1=1&test_2=2')).status, 200);
      assert.equal((await get('/v2/health/ready')).status, 200);
      assert.equal((await post('/v2/repository/models/simple/load', {}, admin)).status, 200);
      assert.equal((await get('/v2/models/simple/ready')).status, 200);
      assert.equal(JSON.parse((await get('/v2')).body).name, 'triton');
      assert.equal(JSON.parse((await get('/v2/models/simple?test_1=1&test_2=2')).body).name, 'simple');
      const wrong = await get('/v2/models/wrong_model_name');
      assert.deepEqual(
        [wrong.status, errorOf(wrong)],
        [404, "Request for unknown model: 'wrong_model_name' is not found"],
      );
    });

    test('every extension that is named is there', async () => {
      assert.deepEqual(JSON.parse((await get('/v2')).body).extensions, [
        'binary_tensor_data',
        'classification',
        'model_configuration',
        'statistics',
        'model_repository',
        'logging',
        'trace',
      ]);
    });

    for (const coding of [undefined, 'gzip', 'deflate']) {
      test(`simple_http_infer_client.py adds and subtracts, compressed by ${coding ?? 'nothing'}`, async () => {
        const headers = coding === undefined ? {} : { 'Content-Encoding': coding, 'Accept-Encoding': coding };
        const inputs = [inputOf('INPUT0', 'INT32', [...COUNT_UP]), inputOf('INPUT1', 'INT32', int32Bytes(MINUS_ONES))];
        const sums = [...COUNT_UP].map((x) => x - 1);
        const differences = [...COUNT_UP].map((x) => x + 1);
        const blobs = [int32Bytes(MINUS_ONES)];
        const query = '?test_1=1&test_2=2';
        const outputs = [outputOf('OUTPUT0', true), outputOf('OUTPUT1', false)];
        const chosen = resultOf(await infer('simple', { inputs, outputs }, blobs, headers, query));
        assert.deepEqual(chosen.outputs, { OUTPUT0: sums, OUTPUT1: differences });
        const all = { inputs, parameters: { binary_data_output: true } };
        const every = resultOf(await infer('simple', all, blobs, headers, query));
        assert.deepEqual(every.outputs, { OUTPUT0: sums, OUTPUT1: differences });
        const wrong = await infer('wrong_model_name', { inputs, outputs }, blobs, headers, query);
        assert.ok(errorOf(wrong).startsWith('Request for unknown model'), wrong.body);
      });
    }

    test('its statistics are those of the one version', async () => {
      const { model_stats } = JSON.parse((await get('/v2/models/simple/stats')).body);
      assert.equal(model_stats.length, 1);
    });

    test('simple_http_async_infer_client.py has two requests under way', async () => {
      const blobs = [int32Bytes(COUNT_UP), int32Bytes(ONES)];
      const inputs = blobs.map((bytes, i) => inputOf(`INPUT${i}`, 'INT32', bytes));
      const outputs = [outputOf('OUTPUT0', true), outputOf('OUTPUT1', true)];
      const answers = await Promise.all([1, 2].map(() => infer('simple', { inputs, outputs }, blobs)));
      for (const answer of answers) {
        assert.deepEqual(
          resultOf(answer).outputs.OUTPUT0,
          [...COUNT_UP].map((x) => x + 1),
        );
      }
    });

    test('simple_http_string_infer_client.py adds and subtracts texts', async () => {
      const given = texts(...[...COUNT_UP].map(String));
      const inputs = [inputOf('INPUT0', 'BYTES', given), inputOf('INPUT1', 'BYTES', [...ONES].map(String))];
      const outputs = [outputOf('OUTPUT0', true), outputOf('OUTPUT1', false)];
      const result = resultOf(await infer('simple_string', { inputs, outputs }, [given]));
      assert.deepEqual(
        result.outputs.OUTPUT0,
        [...COUNT_UP].map((x) => String(x + 1)),
      );
      assert.deepEqual(
        result.outputs.OUTPUT1,
        [...COUNT_UP].map((x) => String(x - 1)),
      );
    });

    test('simple_http_model_control.py reads the configuration, and hears why a load fails', async () => {
      const { body } = await get('/v2/models/simple/config');
      const config = JSON.parse(body);
      assert.deepEqual(
        [config.name, config.platform, config.backend, config.max_batch_size],
        ['simple', 'onnxruntime_onnx', 'onnxruntime', 8],
      );
      for (const side of [config.input, config.output]) {
        assert.deepEqual(
          side.map(({ data_type, dims }: Json) => [data_type, dims]),
          [
            ['TYPE_INT32', [16]],
            ['TYPE_INT32', [16]],
          ],
        );
      }
      assert.equal((await get('/v2/models/simple/versions/1/config')).body, body);
      assert.ok(errorOf(await get('/v2/models/simple/versions/3/config')).startsWith('Request for unknown model'));
      assert.equal((await post('/v2/repository/index')).status, 200);
      const load = (model: string, request: object = {}) => post(`/v2/repository/models/${model}/load`, request, admin);
      assert.equal((await load('simple')).status, 200);
      assert.equal((await get('/v2/models/simple/ready')).status, 200);
      const wrong = await load('wrong_model_name');
      assert.match(errorOf(wrong), /^failed to load 'wrong_model_name', failed to poll from model repository/);
      const override = await load('simple', { parameters: { config: '{"max_batch_size":"16"}' } });
      assert.equal(override.status, 501);
      assert.match(errorOf(override), /^failed to load 'simple', parameters\.config: /);
      const unload = { parameters: { unload_dependents: false } };
      assert.equal((await post('/v2/repository/models/simple/unload', unload, admin)).status, 200);
      assert.notEqual((await get('/v2/models/simple/ready')).status, 200);
      assert.equal((await load('simple')).status, 200);
    });

    test('image_client.py gets the classes of its images, by name', async () => {
      assert.equal((await get('/v2/models/images/config')).status, 503, 'it is not loaded');
      assert.equal((await post('/v2/repository/models/images/load', {}, admin)).status, 200);
      const config = JSON.parse((await get('/v2/models/images/config')).body);
      assert.deepEqual([config.input[0].format, config.input[0].dims], ['FORMAT_NCHW', [3, 1, 1]]);
      const images = Buffer.from(Float32Array.of(0.5, 0.25, 0.75, 3, 2, 1).buffer);
      const inputs = [inputOf('data', 'FP32', images, [2, 3, 1, 1])];
      for (const binary of [true, false]) {
        const outputs = [outputOf('prob', binary, 2)];
        const result = resultOf(await infer('images', { inputs, outputs }, [images]));
        const [output] = result.json.outputs;
        assert.deepEqual([output.datatype, output.shape], ['BYTES', [2, 2]]);
        assert.deepEqual(result.outputs.prob, ['0.750000:2:cow', '0.500000:0:ant', '3.000000:0:ant', '2.000000:1:bee']);
      }
    });

    test('what has no scores has no classes, and a number of classes is one', async () => {
      const inputs = ['INPUT0', 'INPUT1'].map((name) => inputOf(name, 'BYTES', [...ONES].map(String)));
      const refused = await infer('simple_string', { inputs, outputs: [outputOf('OUTPUT0', false, 1)] }, []);
      assert.equal(refused.status, 400);
      assert.match(errorOf(refused), /class result not available for output due to unsupported type 'BYTES'/);
      for (const classification of [-1, 1.5, 'two', null]) {
        const outputs = [{ name: 'OUTPUT0', parameters: { classification } }];
        const answer = await infer('simple_string', { inputs, outputs }, []);
        assert.deepEqual([answer.status, JSON.parse(answer.body).path], [400, 'outputs[0].parameters.classification']);
      }
    });

    test('simple_http_shm_client.py finds no shared memory, and is told that there is none to register', async () => {
      for (const kind of ['system', 'cuda']) {
        const path = `/v2/${kind}sharedmemory`;
        assert.equal((await post(`${path}/unregister`)).status, 200);
        assert.equal((await post(`${path}/region/input_data/unregister`)).status, 200);
        for (const status of ['/status', '/region/input_data/status']) {
          assert.deepEqual(JSON.parse((await get(path + status)).body), []);
        }
        const registered = await post(`${path}/region/input_data/register`, {
          key: '/input_simple',
          offset: 0,
          byte_size: 128,
        });
        assert.equal(registered.status, 501);
        assert.match(errorOf(registered), /shares no memory with its callers/);
      }
      const shared = {
        name: 'INPUT0',
        shape: [1, 16],
        datatype: 'INT32',
        parameters: { shared_memory_region: 'input_data' },
      };
      assert.equal((await infer('simple', { inputs: [shared] }, [])).status, 501);
    });

    test('log settings are shown to all, and changed by whoever has the token', async () => {
      const initial = {
        log_file: '',
        log_info: true,
        log_warning: true,
        log_error: true,
        log_verbose_level: 0,
        log_format: 'default',
      };
      assert.deepEqual(JSON.parse((await get('/v2/logging')).body), initial);
      assert.equal((await post('/v2/logging', { log_verbose_level: 1 })).status, 401);
      const changed = await post('/v2/logging', { log_verbose_level: 1, log_info: false }, admin);
      assert.deepEqual(JSON.parse(changed.body), { ...initial, log_info: false, log_verbose_level: 1 });
      assert.equal((await get('/v2/logging')).body, changed.body);
      await post('/v2/logging', { log_warning: false }, admin);
      await get('/v2/models/unheard');
      await post('/v2/logging', { log_warning: true }, admin);
      await get('/v2/models/heard');
      await until(
        () => host().lines.some((line) => line.includes('/v2/models/heard')),
        'the line of a refused request',
      );
      assert.ok(!host().lines.some((line) => line.includes('/v2/models/unheard')));
      const back = await post('/v2/logging', { log_verbose_level: 0, log_info: true }, admin);
      assert.deepEqual(JSON.parse(back.body), initial);
      for (const [settings, status] of [
        [{ log_info: 1 }, 400],
        [{ log_verbose_level: -1 }, 400],
        [{ log_format: 'xml' }, 400],
        [{ log_file: '/tmp/log' }, 501],
      ] as const) {
        assert.equal((await post('/v2/logging', settings, admin)).status, status, JSON.stringify(settings));
      }
      assert.deepEqual(JSON.parse((await get('/v2/logging')).body), initial);
    });

    test('trace settings are shown to all, and changed by whoever has the token; a traced request is in the log', async () => {
      const initial = {
        trace_level: ['OFF'],
        trace_rate: '1000',
        trace_count: '-1',
        log_frequency: '0',
        trace_file: '',
      };
      const path = '/v2/models/simple/trace/setting';
      for (const each of ['/v2/trace/setting', path]) assert.deepEqual(JSON.parse((await get(each)).body), initial);
      assert.equal((await post(path, { trace_rate: '1' })).status, 401);
      const settings = { trace_level: ['TIMESTAMPS'], trace_rate: '1', trace_count: '1' };
      const changed = await post(path, settings, admin);
      assert.deepEqual(JSON.parse(changed.body), { ...initial, ...settings });
      assert.deepEqual(JSON.parse((await get('/v2/trace/setting')).body), initial);
      const inputs = ['INPUT0', 'INPUT1'].map((name) => inputOf(name, 'INT32', [...ONES]));
      for (let i = 0; i < 2; i++) assert.equal((await infer('simple', { inputs }, [])).status, 200);
      const traces = () =>
        host()
          .lines.filter((line) => line.includes('"timestamps"'))
          .map((line) => JSON.parse(line));
      await until(() => traces().length > 0, 'the trace');
      const [trace, ...more] = traces();
      assert.deepEqual(more, [], 'no more than trace_count');
      assert.deepEqual([trace.model, trace.version], ['simple', '1']);
      assert.deepEqual(
        trace.timestamps.map(({ name }: Json) => name),
        ['REQUEST_START', 'QUEUE_START', 'COMPUTE_END', 'REQUEST_END'],
      );
      const cleared = await post(path, { trace_level: null, trace_rate: null, trace_count: null }, admin);
      assert.deepEqual(JSON.parse(cleared.body), initial);
      assert.ok(errorOf(await get('/v2/models/no/trace/setting')).startsWith('Request for unknown model'));
    });
  });
}
