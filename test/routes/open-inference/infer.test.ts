import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Cancellation } from '../../../functions/engine/batcher.ts';
import { ServingError } from '../../../functions/errors.ts';
import type { RequestContext } from '../../../functions/http/request-context.ts';
import type { BodyReader, Owner } from '../../../functions/routes/body-reader.ts';
import {
  createInferRoutes,
  readRequest,
  readTextLength,
  runInfer,
} from '../../../functions/routes/open-inference/infer.ts';
import { createTracer } from '../../../functions/routes/open-inference/triton/tracer.ts';
import type { DType, Signature } from '../../../functions/tensor/tensor.ts';
import {
  countedRows,
  type GenerationStub,
  outcomeOf,
  type StubbedModel,
  stubGeneration,
  tensorSpec,
} from '../../helpers/generation-stub.ts';
import { floats, infer, sendInfer } from '../../helpers/open-inference.ts';
import { serveOnly } from '../../helpers/route-host.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { float32 } from '../../helpers/tensors.ts';

const identity = (dtype: DType, ...shape: number[]): Signature => ({
  inputs: [tensorSpec('x', dtype, ...shape)],
  outputs: [tensorSpec('y', dtype, ...shape)],
});
const PAIRS = identity('float32', -1, 2);
const TWO_ROWS = { name: 'x', datatype: 'FP32', shape: [2, 2], data: '[1,2,3,4]' };
const JSON_TYPE = { 'content-type': 'application/json' };

async function start(t: TestContext, model: Partial<StubbedModel> = {}) {
  const telemetry = recordTelemetry();
  const stub = stubGeneration({ signature: PAIRS, ...model });
  const tracer = createTracer(telemetry.logger);
  const parser = {} as BodyReader;
  const options = { repository: stub.repository, parser, metrics: telemetry.metrics, maxBodyBytes: 1000, tracer };
  const host = await serveOnly(t, createInferRoutes(options), telemetry);
  return { host, stub, tracer, telemetry };
}

test('whole tensors are answered by the model and by its version, and their rows are counted', async (t) => {
  const { host, stub, telemetry } = await start(t);
  for (const model of ['m', 'm/versions/1', 'm/versions/01']) {
    const { status, json } = await infer(host, model, [TWO_ROWS], { id: 'i' });
    assert.equal(status, 200);
    assert.deepEqual(json, {
      model_name: 'm',
      model_version: '1',
      id: 'i',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] }],
    });
  }
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 6, failed: 0 }, 0]);
});

test("a model or a version that is not there is a 404 in Triton's words", async (t) => {
  const { host } = await start(t);
  for (const [model, what] of [
    ['n', "'n'"],
    ['m/versions/2', "'m' version 2"],
  ] as const) {
    const { status, json } = await infer(host, model, [TWO_ROWS]);
    assert.deepEqual([status, json.error], [404, `Request for unknown model: ${what} is not found`]);
  }
});

test('the header with the length of the JSON text decides what is binary data, and not the content type', async (t) => {
  const { host } = await start(t);
  const text =
    '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}],"parameters":{"binary_data_output":true}}';
  const body = Buffer.concat([Buffer.from(text), floats(5, 6)]);
  for (const type of ['application/octet-stream', 'application/json', 'text/plain']) {
    const headers = { 'content-type': type, 'inference-header-content-length': String(text.length) };
    const { status, bytes } = await sendInfer(host, 'm', body, headers);
    assert.deepEqual([status, bytes.get('y')], [200, floats(5, 6)]);
  }
  const raw = await sendInfer(host, 'm', floats(7, 8), { 'inference-header-content-length': '0' });
  assert.deepEqual([raw.json.outputs[0].shape, raw.bytes.get('y')], [[1, 2], floats(7, 8)]);
});

test('the length of the JSON text is an integer of digits, from 0 to the length of the body', () => {
  for (const [header, length] of [
    ['0', 0],
    ['7', 7],
    ['10', 10],
    ['0010', 10],
  ] as const) {
    assert.equal(readTextLength(header, 10), length);
  }
  for (const header of ['-1', '11', '1.5', '', ' 4', '+4', '1e1', '0x1', 'x', '4, 4', '9'.repeat(400)]) {
    assert.throws(
      () => readTextLength(header, 10),
      ({ code, path, message }: ServingError) =>
        code === 'INVALID_INPUT' &&
        path === 'Inference-Header-Content-Length' &&
        message.includes('expected an integer from 0 to 10, the length of the body, got ') &&
        message.length < 200,
      header,
    );
  }
});

test('a length of the JSON text that is wrong is refused before the model is looked up', async (t) => {
  const { host } = await start(t);
  const { status, json } = await sendInfer(host, 'n', '{}', { 'inference-header-content-length': '3' });
  assert.deepEqual([status, json.path], [400, 'Inference-Header-Content-Length']);
});

test('the model is released after a request that was refused, and after one that failed', async (t) => {
  let heldAtRun = 0;
  const failing = async (): Promise<never> => {
    heldAtRun = stub.held();
    throw new ServingError('OVERLOADED', 'the queue is full', { retryAfter: 2 });
  };
  const { host, stub, telemetry } = await start(t, { predict: failing });
  assert.equal((await sendInfer(host, 'm', '[]', JSON_TYPE)).status, 400);
  assert.deepEqual([countedRows(telemetry), stub.held()], [{ ok: 0, failed: 0 }, 0]);
  const full = await infer(host, 'm', [TWO_ROWS]);
  assert.deepEqual([full.status, full.headers.get('retry-after')], [429, '2']);
  assert.deepEqual([countedRows(telemetry), heldAtRun, stub.held()], [{ ok: 0, failed: 2 }, 1, 0]);
});

test('a request to a model whose rows are not joined is counted as one row', async (t) => {
  const { host, telemetry } = await start(t, { joinsRows: false });
  assert.equal((await infer(host, 'm', [TWO_ROWS])).status, 200);
  assert.deepEqual(countedRows(telemetry), { ok: 1, failed: 0 });
});

test('a traced request has a line with its times, in their order', async (t) => {
  const { host, tracer, telemetry } = await start(t);
  await infer(host, 'm', [TWO_ROWS]);
  assert.equal(telemetry.lines.length, 0);
  tracer.change('m', { trace_level: ['TIMESTAMPS'], trace_rate: 1 });
  await infer(host, 'm', [TWO_ROWS], {}, { 'x-request-id': 'r1' });
  const { fields } = telemetry.lines[0]!;
  const times = fields.timestamps as { name: string; ns: number }[];
  assert.deepEqual([fields.model, fields.version, fields.requestId], ['m', '1', 'r1']);
  assert.deepEqual(
    times.map(({ name }) => name),
    ['REQUEST_START', 'QUEUE_START', 'COMPUTE_END', 'REQUEST_END'],
  );
  assert.deepEqual(
    times.map(({ ns }) => ns).toSorted((a, b) => a - b),
    times.map(({ ns }) => ns),
  );
});

/** What of a request runInfer needs. @param lateMs since its head. */
const contextOf = (lateMs = 0): RequestContext & { cancellation: { cancelled: boolean } } =>
  ({ startedAt: performance.now() - lateMs, cancellation: { cancelled: false } }) as never;
const request = (timeout: number | undefined) => ({
  id: undefined,
  tensors: [float32([3, 2], [1, 2, 3, 4, 5, 6])],
  outputs: [],
  timeout,
});

/** A model whose run ends when the test says. */
function waitingModel(): GenerationStub & { end(): void; cancellations: Cancellation[] } {
  const run = Promise.withResolvers<void>();
  const cancellations: Cancellation[] = [];
  const stub = stubGeneration({
    signature: PAIRS,
    predict: (feeds, cancellation) => {
      cancellations.push(cancellation);
      return run.promise.then(() => outcomeOf(feeds));
    },
  });
  return { ...stub, cancellations, end: run.resolve };
}

function recorder() {
  const rows: number[][] = [];
  return { rows, recorder: { rows: (...given: number[]) => void rows.push(given) } as never };
}

test('a request ends after its own time with DEADLINE, and its waiting rows are dropped', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { live, cancellations, end } = waitingModel();
  const counted = recorder();
  const running = runInfer(contextOf(), live, request(2_000_000), counted.recorder);
  const late = assert.rejects(running, { code: 'DEADLINE', message: /2000000 µs \(parameters\.timeout\)/ });
  assert.deepEqual(
    cancellations.map(({ cancelled }) => cancelled),
    [false],
  );
  t.mock.timers.tick(2000);
  assert.equal(cancellations[0]!.cancelled, true);
  await late;
  assert.deepEqual(counted.rows, [[0, 3]]);
  end();
});

test('a request whose time has passed before its rows are queued does not reach the model', async () => {
  const { live, fed } = waitingModel();
  const counted = recorder();
  await assert.rejects(runInfer(contextOf(10), live, request(9_999), counted.recorder), { code: 'DEADLINE' });
  assert.deepEqual([fed.length, counted.rows], [0, [[0, 3]]]);
});

test('a request that is answered in time stops its timer, and is cancelled with its client', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { live, cancellations, end } = waitingModel();
  const counted = recorder();
  const context = contextOf();
  const running = runInfer(context, live, request(1_000_000), counted.recorder);
  context.cancellation.cancelled = true;
  assert.equal(cancellations[0]!.cancelled, true);
  context.cancellation.cancelled = false;
  end();
  assert.deepEqual((await running)[0]!.dims, [3, 2]);
  t.mock.timers.tick(1000);
  assert.equal(cancellations[0]!.cancelled, false, 'the timer was stopped');
  assert.deepEqual(counted.rows, [[3, 0]]);
});

test('a time longer than a timer of Node can wait does not end the request at once', async (t) => {
  const { live, end } = waitingModel();
  const timers = t.mock.method(globalThis, 'setTimeout');
  const running = runInfer(contextOf(), live, request(2 ** 53), recorder().recorder);
  // From 2^31 on Node takes 1 ms for it.
  assert.deepEqual(
    timers.mock.calls.map(({ arguments: [, ms] }) => ms),
    [2 ** 31 - 1],
  );
  end();
  await running;
});

/** Where a body is read. */
async function whereRead(body: Buffer, textBytes: number | undefined, dtype: DType): Promise<string> {
  const sent: unknown[] = [];
  const parser = { readInThread: async (...given: unknown[]) => sent.push(given[1]) } as unknown as BodyReader;
  const { live } = stubGeneration({ signature: identity(dtype, -1, -1) });
  const read = readRequest(body, textBytes, live, parser, {} as Owner);
  await read;
  if (sent.length > 0) assert.deepEqual(sent, [{ as: 'infer', form: live.rows.form, textBytes }]);
  return read instanceof Promise ? 'in the thread' : 'at once';
}

test('a body whose reading takes long is read in the thread: long JSON, and many binary texts and booleans', async () => {
  const BYTES = 70_000;
  const bodyOf = (datatype: string, shape: number[], pad = 0): [Buffer, number] => {
    const parameters = `{"binary_data_size":${BYTES},"pad":"${'x'.repeat(pad)}"}`;
    const text = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[${shape}],"parameters":${parameters}}]}`;
    return [Buffer.concat([Buffer.from(text), Buffer.alloc(BYTES)]), text.length];
  };
  const small = Buffer.from('{"inputs":[{"name":"x","datatype":"INT8","shape":[1,1],"data":[1]}]}');
  assert.equal(await whereRead(small, undefined, 'int8'), 'at once');
  assert.equal(await whereRead(...bodyOf('INT8', [1, BYTES]), 'int8'), 'at once');
  assert.equal(await whereRead(...bodyOf('BOOL', [1, BYTES]), 'bool'), 'in the thread');
  assert.equal(await whereRead(...bodyOf('BYTES', [1, BYTES / 4]), 'string'), 'in the thread');
  assert.equal(await whereRead(...bodyOf('INT8', [1, BYTES], 70_000), 'int8'), 'in the thread');
  assert.equal(await whereRead(Buffer.alloc(BYTES, ' '), undefined, 'int8'), 'in the thread');
});
