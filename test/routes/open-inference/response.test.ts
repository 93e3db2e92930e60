import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { RequestContext } from '../../../functions/http/request-context.ts';
import { DATATYPES } from '../../../functions/routes/open-inference/datatype.ts';
import { readInputs } from '../../../functions/routes/open-inference/inputs.ts';
import type { RequestedOutput } from '../../../functions/routes/open-inference/request.ts';
import { sendOutputs } from '../../../functions/routes/open-inference/response.ts';
import { type JsonObject, readJson } from '../../../functions/tensor/json/reader.ts';
import { DTYPES, type Signature, type Tensor } from '../../../functions/tensor/tensor.ts';
import { anyTensor, comparable, wireBytes } from '../../helpers/any-tensor.ts';
import { stubGeneration, tensorSpec } from '../../helpers/generation-stub.ts';
import { sendInfer } from '../../helpers/open-inference.ts';
import { serveOnly } from '../../helpers/route-host.ts';

interface Answer {
  readonly outputs: readonly Tensor[];
  /** Default: all, as JSON. */
  readonly requested?: readonly RequestedOutput[];
  readonly id?: string;
  readonly joinsRows?: boolean;
  readonly classes?: readonly string[];
  readonly binaryType?: (textBytes: number) => string;
}

const signatureOf = (outputs: readonly Tensor[]): Signature => ({
  inputs: [],
  outputs: outputs.map(({ dtype, dims }, i) => tensorSpec(`t${i}`, dtype, ...dims)),
});
const all = (outputs: readonly Tensor[], binary = false): RequestedOutput[] =>
  outputs.map((_, slot) => ({ slot, binary }));

function send(context: RequestContext, answer: Answer): Promise<void> {
  const { outputs, requested = all(outputs), id, joinsRows = true, classes, binaryType } = answer;
  const manifest = classes === undefined ? {} : { classes: [...classes] };
  const { live } = stubGeneration({ signature: signatureOf(outputs), joinsRows, manifest, version: '7' });
  const request = { id, tensors: [], outputs: requested, timeout: undefined };
  return sendOutputs(context, context.params.name!, live, request, outputs, binaryType);
}

/** A server that answers with these outputs. */
async function answering(t: TestContext) {
  let next: Answer;
  const host = await serveOnly(t, [
    { method: 'POST', path: '/v2/models/{name}/infer', handle: (context) => send(context, next) },
  ]);
  return (answer: Answer, headers: Record<string, string> = {}) => {
    next = answer;
    return sendInfer(host, 'm', '', headers);
  };
}

const PAIR: Tensor = { dtype: 'float32', dims: [1, 2], data: Float32Array.of(1.5, Number.NaN) };
const BIG: Tensor = { dtype: 'int64', dims: [1], data: BigInt64Array.of(9_007_199_254_740_993n) };
const WORDS: Tensor = { dtype: 'string', dims: [2], data: ['blå', ''] };

test('a response has the names of the protocol, and its data flat in row-major order', async (t) => {
  const ask = await answering(t);
  const { status, headers, text } = await ask({ outputs: [PAIR, BIG, WORDS] });
  assert.equal(status, 200);
  assert.equal(headers.get('content-type'), 'application/json');
  assert.equal(headers.get('inference-header-content-length'), null);
  assert.equal(headers.get('content-length'), String(Buffer.byteLength(text)));
  assert.equal(
    text,
    '{"model_name":"m","model_version":"7","outputs":[' +
      '{"name":"t0","datatype":"FP32","shape":[1,2],"data":[1.5,"NaN"]},' +
      '{"name":"t1","datatype":"INT64","shape":[1],"data":[9007199254740993]},' +
      '{"name":"t2","datatype":"BYTES","shape":[2],"data":["blå",""]}]}',
  );
});

test('binary data follow the JSON text in the order of the outputs, with their lengths', async (t) => {
  const ask = await answering(t);
  const requested = [
    { slot: 2, binary: true },
    { slot: 1, binary: false },
    { slot: 0, binary: true },
  ];
  const { headers, text, json, bytes } = await ask({ outputs: [PAIR, BIG, WORDS], requested });
  assert.deepEqual(
    json.outputs.map(({ name, parameters, data }: Record<string, unknown>) => [name, parameters, data]),
    [
      ['t2', { binary_data_size: 12 }, undefined],
      ['t1', undefined, [9_007_199_254_740_992]],
      ['t0', { binary_data_size: 8 }, undefined],
    ],
  );
  assert.deepEqual(bytes.get('t2'), Buffer.from('\u0004\0\0\0blå\0\0\0\0'));
  assert.deepEqual(bytes.get('t0'), Buffer.from('0000c03f0000c07f', 'hex'));
  assert.equal(headers.get('content-type'), 'application/octet-stream');
  assert.equal(headers.get('inference-header-content-length'), String(Buffer.byteLength(text)));
  assert.equal(headers.get('content-length'), String(Buffer.byteLength(text) + 20));
});

test('the media type of binary data may be another, and has the length of the JSON text', async (t) => {
  const ask = await answering(t);
  const binaryType = (textBytes: number): string => `application/x-test;size=${textBytes}`;
  const { headers, text } = await ask({ outputs: [PAIR], requested: all([PAIR], true), binaryType });
  assert.equal(headers.get('content-type'), `application/x-test;size=${Buffer.byteLength(text)}`);
});

test('the outputs of a response are read as the same tensors when they are sent as inputs', async (t) => {
  const ask = await answering(t);
  const some = fc.array(fc.tuple(anyTensor(), fc.boolean()), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(some, async (given) => {
      const outputs = given.map(([tensor]) => viewOf(tensor));
      const requested = given.map(([, binary], slot) => ({ slot, binary }));
      const { text, bytes } = await ask({ outputs, requested });
      const { outputs: sent } = readJson(Buffer.from(text)) as JsonObject;
      const signature = { inputs: signatureOf(outputs).outputs, outputs: [] };
      const read = readInputs(sent, signature, Buffer.concat([...bytes.values()]));
      assert.deepEqual(read.map(comparable), outputs.map(comparable));
    }),
    { numRuns: 40 },
  );
});

/** The same tensor as a view in the midst of other memory, as outputs of a run that several requests share are. */
function viewOf({ dtype, dims, data }: Tensor): Tensor {
  if (Array.isArray(data)) return { dtype, dims, data };
  const whole = DTYPES[dtype].make(data.length + 2) as Float64Array;
  whole.set(data as Float64Array, 1);
  return { dtype, dims, data: whole.subarray(1, data.length + 1) };
}

test('an output that is written in slices is the same JSON as one that is written whole', async (t) => {
  const ask = await answering(t);
  for (const length of [4095, 4096, 4097, 8192, 8193]) {
    const numbers = Array.from({ length }, (_, i) => i - 4000);
    const outputs: Tensor[] = [
      { dtype: 'int16', dims: [length], data: Int16Array.from(numbers) },
      BIG,
      { dtype: 'string', dims: [length, 1], data: numbers.map(String) },
    ];
    const { json } = await ask({ outputs });
    assert.deepEqual(
      json.outputs.map(({ shape, data }: { shape: number[]; data: unknown[] }) => [shape, data]),
      [
        [[length], numbers],
        [[1], [9_007_199_254_740_992]],
        [[length, 1], numbers.map(String)],
      ],
    );
    const mixed = await ask({ outputs, requested: outputs.map((_, slot) => ({ slot, binary: slot === 0 })) });
    assert.equal(mixed.bytes.get('t0')!.length, 2 * length);
    assert.equal(mixed.json.outputs[2].data.length, length);
  }
});

test('the response has the id of the request, and none where the request has none', async (t) => {
  const ask = await answering(t);
  for (const id of ['a', '', '"\\\u2028å']) assert.equal((await ask({ outputs: [BIG], id })).json.id, id);
  assert.ok(!('id' in (await ask({ outputs: [BIG] })).json));
});

test('an output without elements has its shape and no data', async (t) => {
  const ask = await answering(t);
  const outputs: Tensor[] = [{ dtype: 'float32', dims: [0, 2], data: new Float32Array() }];
  assert.deepEqual((await ask({ outputs })).json.outputs, [{ name: 't0', datatype: 'FP32', shape: [0, 2], data: [] }]);
  const { json, bytes } = await ask({ outputs, requested: all(outputs, true) });
  assert.deepEqual([json.outputs[0].parameters, bytes.get('t0')!.length], [{ binary_data_size: 0 }, 0]);
});

test('classes that replace an output are texts with the labels of the model, as JSON and as binary data', async (t) => {
  const ask = await answering(t);
  const scores: Tensor = { dtype: 'float32', dims: [1, 3], data: Float32Array.of(0.25, 0.5, 0.125) };
  const answer = { outputs: [scores], classes: ['no', 'yes', 'maybe'] };
  const { json } = await ask({ ...answer, requested: [{ slot: 0, binary: false, classes: 2 }] });
  const texts = ['0.500000:1:yes', '0.250000:0:no'];
  assert.deepEqual(json.outputs, [{ name: 't0', datatype: DATATYPES.string, shape: [1, 2], data: texts }]);
  const { bytes } = await ask({ ...answer, requested: [{ slot: 0, binary: true, classes: 2 }] });
  assert.deepEqual(bytes.get('t0'), wireBytes({ dtype: 'string', dims: [1, 2], data: texts }));
});

test('nothing is sent once the request is cancelled', async () => {
  const written: unknown[] = [];
  const record = (...given: unknown[]): void => void written.push(given);
  const res = { cork() {}, uncork() {}, writeHead: record, write: record, end: record };
  const base = { req: { headers: {} }, res, params: { name: 'm' }, id: 'x' };
  const outputs = [{ dtype: 'uint8', dims: [5000], data: new Uint8Array(5000) }] as const;
  for (const requested of [all(outputs), all(outputs, true)]) {
    await send({ ...base, cancellation: { cancelled: true } } as unknown as RequestContext, { outputs, requested });
    assert.deepEqual(written, []);
  }
  await send({ ...base, cancellation: { cancelled: false } } as unknown as RequestContext, { outputs });
  assert.ok(written.length > 0);
});
