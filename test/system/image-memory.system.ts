import assert from 'node:assert/strict';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { privateBytes } from '../../functions/engine/memory/private-bytes.ts';
import { initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import { call, metric } from '../helpers/calls.ts';
import { buildImage, docker, startImage } from '../helpers/image.ts';
import { modelFolder } from '../helpers/model-folder.ts';
import { inferBody, type Sent } from '../helpers/open-inference.ts';
import { until } from '../helpers/until.ts';

const MIB = 2 ** 20;
const CONNECTIONS = 64;
const SIZE = 1024;
const ELEMENTS = 3 * SIZE * SIZE;
/** Of the first convolution: 20 times the bytes of its input. */
const CHANNELS = 60;
const READY_MS = 30_000;
/** The serving process without bodies, with room for V8's heaps and the thread that reads JSON. */
const CALM_BYTES = 256 * MIB;

/** `x` float32 [N,3,1024,1024], 12 MiB a row -> `y` float32 [N,1]; between them [N,60,1024,1024], 240 MiB a row. */
function wideNet(): Uint8Array {
  const ones = (count: number) => new Float32Array(count).fill(1);
  return model({
    name: 'wide',
    nodes: [
      node('Conv', ['x', 'k'], ['c'], { kernel_shape: [1n, 1n] }),
      node('Relu', ['c'], ['r']),
      node('GlobalAveragePool', ['r'], ['p']),
      node('Flatten', ['p'], ['f']),
      node('MatMul', ['f', 'w'], ['y']),
    ],
    initializers: [
      initializer('k', 'float32', [CHANNELS, 3, 1, 1], ones(3 * CHANNELS)),
      initializer('w', 'float32', [CHANNELS, 1], ones(CHANNELS)),
    ],
    inputs: [value('x', 'float32', ['N', 3, SIZE, SIZE])],
    outputs: [value('y', 'float32', ['N', 1])],
  });
}

const INPUT = { name: 'x', datatype: 'FP32', shape: [1, 3, SIZE, SIZE] };
const BODIES: readonly (readonly [form: string, input: Sent])[] = [
  ['binary data', { ...INPUT, bytes: Buffer.from(new Float32Array(ELEMENTS).fill(1).buffer) }],
  ['JSON', { ...INPUT, data: `[${'1,'.repeat(ELEMENTS - 1)}1]` }],
];

/** Sends a body; unlike fetch, it reads a response that comes before all of the body is sent. */
function post(
  port: number,
  { text: json, blobs }: ReturnType<typeof inferBody>,
): Promise<[status: number, text: string]> {
  const body = Buffer.concat([Buffer.from(json), ...blobs]);
  const binary = blobs.length > 0 ? { 'inference-header-content-length': Buffer.byteLength(json) } : {};
  const headers = { 'content-type': 'application/json', 'content-length': body.length, ...binary };
  const { promise, resolve, reject } = Promise.withResolvers<[number, string]>();
  const sent = request({ port, host: '127.0.0.1', method: 'POST', path: '/v2/models/wide/infer', headers });
  sent.once('response', (response) => text(response).then((answer) => resolve([response.statusCode!, answer]), reject));
  sent.once('error', reject).end(body);
  return promise;
}

let host: Awaited<ReturnType<typeof startImage>>;
before(async () => {
  buildImage();
  host = await startImage({ MODEL_URI: modelFolder('wide', wideNet()) }, undefined, ['--memory', '2g', '--cpus', '2']);
  await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready', READY_MS);
});
after(() => host.stop('SIGKILL'));

describe('64 requests of [3,1024,1024] at once, within 2 GiB, for a network whose tensors have 20 times that', () => {
  for (const [form, input] of BODIES) {
    test(`as ${form}: each is answered or refused with 429, no process ends, and the memory is given back`, async () => {
      const body = inferBody([input]);
      const answers = await Promise.all(Array.from({ length: CONNECTIONS }, () => post(host.port, body)));
      assert.deepEqual(
        answers.filter(([status]) => status !== 200 && status !== 429),
        [],
      );
      const answered = answers.filter(([status]) => status === 200);
      assert.ok(answered.length > 0, 'all were refused');
      // 3 input channels of 1 in each of 60 channels.
      for (const [, answer] of answered) assert.deepEqual(JSON.parse(answer).outputs[0].data, [3 * CHANNELS]);
      assert.equal(await metric(host, 'engine_restarts_total', { reason: 'crash' }), 0);
      await until(() => privateBytes(host.pid)! < CALM_BYTES, 'the bodies to be freed');
      assert.equal(docker('inspect', '--format', '{{.State.OOMKilled}}', `ml-model-test-${host.port}`), 'false');
    });
  }
});
