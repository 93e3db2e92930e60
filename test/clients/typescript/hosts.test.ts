import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type AnyTensor, ClientError, createClient } from '../../../clients/typescript/src/client.ts';
import type { DType } from '../../../functions/tensor/tensor.ts';
import { metric } from '../../helpers/calls.ts';
import { freePort, type Host, type HostKind, startHost } from '../../helpers/hosts.ts';
import { identity, notFinite, slow, writeModel } from '../../helpers/models.ts';
import { until } from '../../helpers/until.ts';

/** A tensor [1,2] of every datatype, with values at the ends of its range. */
const TENSORS: readonly (readonly [DType, AnyTensor])[] = [
  ['bool', { datatype: 'BOOL', shape: [1, 2], data: [true, false] }],
  ['uint8', { datatype: 'UINT8', shape: [1, 2], data: Uint8Array.of(0, 255) }],
  ['uint16', { datatype: 'UINT16', shape: [1, 2], data: Uint16Array.of(1, 65_535) }],
  ['uint32', { datatype: 'UINT32', shape: [1, 2], data: Uint32Array.of(1, 4_294_967_295) }],
  ['uint64', { datatype: 'UINT64', shape: [1, 2], data: BigUint64Array.of(1n, 2n ** 64n - 1n) }],
  ['int8', { datatype: 'INT8', shape: [1, 2], data: Int8Array.of(-128, 127) }],
  ['int16', { datatype: 'INT16', shape: [1, 2], data: Int16Array.of(-32_768, 32_767) }],
  ['int32', { datatype: 'INT32', shape: [1, 2], data: Int32Array.of(-(2 ** 31), 2 ** 31 - 1) }],
  ['int64', { datatype: 'INT64', shape: [1, 2], data: BigInt64Array.of(2n ** 53n + 1n, -(2n ** 63n)) }],
  ['float16', { datatype: 'FP16', shape: [1, 2], data: Uint16Array.of(0x3c00, 0x0001) }],
  ['float32', { datatype: 'FP32', shape: [1, 2], data: Float32Array.of(0.1, -0) }],
  ['float64', { datatype: 'FP64', shape: [1, 2], data: Float64Array.of(0.1, Number.MAX_VALUE) }],
  ['string', { datatype: 'BYTES', shape: [1, 2], data: ['é€😀', ''] }],
];
/** 64-bit integers of these sizes do not come through JSON.parse, and FP16 has no form in JSON. */
const BINARY_ONLY = ['uint64', 'int64', 'float16'];
const ROWS = 3000;

const folder = mkdtempSync(join(tmpdir(), 'client-hosts-'));
for (const [dtype] of TENSORS) writeModel(folder, dtype, identity(dtype, ['N', 2]));
writeModel(folder, 'logarithm', notFinite());
writeModel(folder, 'slow', slow());
after(() => rmSync(folder, { recursive: true }));

const ENV = { MODEL_URI: folder, MODEL_NAME: 'float32', INFERENCE_PROCESSES: '1' };

async function* rows(count = ROWS): AsyncGenerator<readonly number[]> {
  for (let i = 0; i < count; i++) yield [i, i + 0.5];
}

function withHost(kind: HostKind): () => Host {
  let host: Host | undefined;
  before(async () => {
    host = await startHost(kind, ENV);
    // The function loads its model at the first request.
    await createClient({ url: host.url, timeoutMs: 60_000 }).predict([1, 2]);
  });
  after(() => host?.stop());
  return () => host!;
}

for (const kind of ['container', 'functions'] as const)
  describe(`the client with the ${kind} host`, () => {
    const host = withHost(kind);

    test('predicts a row with any model, and gets the error of an invalid row', async () => {
      const client = createClient<number[]>({ url: host().url });
      assert.equal(await client.ready(), true);
      assert.deepEqual((await client.predict([1, 2.5])).prediction, [1, 2.5]);
      const { prediction } = await client.predict<string>([-1], { model: 'logarithm' });
      assert.deepEqual(prediction, ['NaN']);
      const error = await client.predict([1]).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof ClientError && error.requestId !== undefined);
      assert.deepEqual([error.code, error.status, error.path], ['INVALID_INPUT', 400, 'features']);
    });

    test('streams rows, also where the host reads a body to its end first', async () => {
      const client = createClient<number[]>({ url: host().url });
      let next = 0;
      for await (const { index, prediction } of client.batchPredict(rows(), { maxUnanswered: 2000 })) {
        assert.deepEqual([index, prediction], [next, [next, next + 0.5]]);
        next++;
      }
      assert.equal(next, ROWS);
    });

    for (const encoding of ['binary', 'json'] as const)
      test(`infers with every datatype there and back, as ${encoding}`, async () => {
        for (const [model, x] of TENSORS) {
          if (encoding === 'json' && BINARY_ONLY.includes(model)) continue;
          const client = createClient({ url: host().url, model });
          const { outputs, id, modelName } = await client.infer(
            { inputs: { x }, outputs: ['y'], id: 'i' },
            { encoding },
          );
          assert.deepEqual([outputs.y, id, modelName], [x, 'i', model]);
        }
      });

    for (const encoding of ['binary', 'json'] as const)
      test(`has the highest elements of an output in place of it, as ${encoding}`, async () => {
        const x = { datatype: 'INT64', shape: [2, 2], data: BigInt64Array.of(1n, 2n, 9n, 4n) } as const;
        const client = createClient({ url: host().url, model: 'int64' });
        const { outputs } = await client.infer(
          { inputs: { x }, outputs: { y: 'BYTES' }, classes: { y: 1 } },
          { encoding },
        );
        assert.deepEqual(outputs.y, { datatype: 'BYTES', shape: [2, 1], data: ['2:1', '9:0'] });
      });

    test('gets the metadata of a model and of the server', async () => {
      const client = createClient({ url: host().url, model: 'int64' });
      const { name, platform, inputs } = await client.metadata();
      assert.deepEqual(
        [name, platform, inputs[0]?.datatype, inputs[0]?.shape],
        ['int64', 'onnx_onnxv1', 'INT64', [-1, 2]],
      );
      assert.ok((await client.serverMetadata()).extensions.includes('binary_tensor_data'));
      await assert.rejects(
        client.metadata({ model: 'nothing' }),
        (error: unknown) => error instanceof ClientError && error.status === 404,
      );
    });
  });

test('a stream continues with the server that replaces one that shuts down, and each row gets one result', async () => {
  const port = await freePort();
  const leaving = await startHost('container', { ...ENV, PORT: String(port) });
  const client = createClient<number[]>({ url: leaving.url, retries: 20, timeoutMs: 60_000 });
  await until(() => client.ready(), 'the model to be ready');
  let coming: Promise<Host> | undefined;
  let next = 0;
  try {
    for await (const { index, prediction } of client.batchPredict(rows(5000), { maxUnanswered: 500 })) {
      assert.deepEqual([index, prediction], [next, [next, next + 0.5]]);
      if (next++ === 1000) coming = leaving.stop().then(() => startHost('container', { ...ENV, PORT: String(port) }));
    }
    assert.equal(next, 5000);
  } finally {
    await (await coming)?.stop();
  }
});

test('an abort in the middle of a run rejects without waiting for the run', async () => {
  const host = await startHost('container', { ...ENV, MODEL_NAME: 'slow' });
  try {
    const client = createClient({ url: host.url });
    await until(() => client.ready(), 'the model to be ready');
    const busyEngines = () => metric(host, 'engine_processes', { state: 'busy' });
    const abort = new AbortController();
    const prediction = client.predict([20_000], { signal: abort.signal });
    prediction.catch(() => {});
    await until(async () => (await busyEngines()) === 1, 'the run to begin');
    abort.abort();
    await assert.rejects(prediction, { name: 'AbortError' });
    assert.equal(await busyEngines(), 1, 'it waited for the run');
  } finally {
    await host.stop('SIGKILL');
  }
});
