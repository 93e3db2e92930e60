import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientError } from '../../../clients/typescript/src/client-error.ts';
import { readInfer, writeInfer } from '../../../clients/typescript/src/infer.ts';

const inputs = {
  x: { datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) },
  s: { datatype: 'BYTES', shape: [1], data: ['a'] },
} as const;
const x = { datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) } as const;

test('a binary request is JSON with sizes, its length in a header, and the bytes of the inputs in their order', () => {
  const { headers, body } = writeInfer(
    { inputs: { x: inputs.x, s: { ...inputs.s, data: ['a'] } }, id: 'i', outputs: ['y'], parameters: { k: 1 } },
    'binary',
  );
  const bytes = Buffer.from(body as Uint8Array);
  const length = Number(headers['Inference-Header-Content-Length']);
  assert.equal(headers['Content-Type'], 'application/octet-stream');
  assert.deepEqual(JSON.parse(bytes.toString('utf8', 0, length)), {
    id: 'i',
    parameters: { k: 1, binary_data_output: true },
    inputs: [
      { name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } },
      { name: 's', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: 5 } },
    ],
    outputs: [{ name: 'y' }],
  });
  assert.equal(bytes.toString('hex', length), '0000803f000000400100000061');
});

test('a JSON request has the data, and nothing of the binary extension', () => {
  const { headers, body } = writeInfer({ inputs: { x }, outputs: { y: 'FP32' } }, 'json');
  assert.deepEqual(headers, { 'Content-Type': 'application/json' });
  assert.equal(body, '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}],"outputs":[{"name":"y"}]}');
});

test('classes ask for the highest elements of an output, in place of it', () => {
  const outputsOf = (request: Omit<Parameters<typeof writeInfer>[0], 'inputs'>) =>
    JSON.parse(writeInfer({ inputs: { x }, ...request }, 'json').body as string).outputs;
  const y = { name: 'y', parameters: { classification: 2 } };
  assert.deepEqual(outputsOf({ classes: { y: 2 } }), [y]);
  assert.deepEqual(outputsOf({ outputs: ['z', 'y'], classes: { y: 2 } }), [{ name: 'z' }, y]);
  assert.deepEqual(outputsOf({ outputs: { y: 'BYTES', z: 'FP32' }, classes: { y: 2 } }), [y, { name: 'z' }]);
  assert.equal(outputsOf({}), undefined);
  assert.throws(() => outputsOf({ outputs: ['z'], classes: { y: 2 } }), {
    name: 'TypeError',
    message: 'classes: y is not among the requested outputs',
  });
});

function answer(json: unknown, blob = '', length: string | undefined = blob === '' ? undefined : 'real') {
  const head = Buffer.from(JSON.stringify(json));
  const headers = new Headers();
  if (length !== undefined)
    headers.set('Inference-Header-Content-Length', length === 'real' ? String(head.length) : length);
  return { headers, bytes: new Uint8Array(Buffer.concat([head, Buffer.from(blob, 'hex')])).buffer };
}

test('a response may mix outputs in bytes and in JSON', () => {
  const json = {
    model_name: 'm',
    model_version: '2',
    id: 'i',
    outputs: [
      { name: 'a', datatype: 'INT64', shape: [1], parameters: { binary_data_size: 8 } },
      { name: 'b', datatype: 'FP32', shape: [2], data: [1, 2] },
      { name: '__proto__', datatype: 'BOOL', shape: [1], parameters: { binary_data_size: 1 } },
    ],
  };
  const { outputs, ...rest } = readInfer(answer(json, '010000000000200001'), undefined);
  assert.deepEqual(rest, { modelName: 'm', modelVersion: '2', id: 'i', parameters: undefined });
  assert.deepEqual(Object.entries(outputs), [
    ['a', { datatype: 'INT64', shape: [1], data: BigInt64Array.of(2n ** 53n + 1n) }],
    ['b', { datatype: 'FP32', shape: [2], data: Float32Array.of(1, 2) }],
    ['__proto__', { datatype: 'BOOL', shape: [1], data: [true] }],
  ]);
});

test('a response that breaks the protocol is a BAD_ANSWER', () => {
  const y = { name: 'y', datatype: 'UINT8', shape: [1] };
  const sized = (size: unknown) => ({ outputs: [{ ...y, parameters: { binary_data_size: size } }] });
  const cases: [ReturnType<typeof answer>, RegExp][] = [
    [answer(sized(2), '00'), /y: binary_data_size is 2, 1 bytes are left/],
    [answer(sized(-1), '00'), /binary_data_size is -1/],
    [answer(sized('1'), '00'), /binary_data_size is 1/],
    [answer(sized(1), '0000'), /1 bytes of the response belong to no output/],
    [answer(sized(1), '00', '999'), /Inference-Header-Content-Length is 999/],
    [answer(sized(1), '00', 'x'), /Inference-Header-Content-Length is x/],
    [answer({}), /outputs: expected an array/],
    [answer(null), /the response: expected an object/],
    [answer({ outputs: [null] }), /outputs\[0\]: expected an object/],
    [answer({ outputs: [{ name: 'y', datatype: 'FP99', shape: [1] }] }), /outputs\[0\]: expected a name, a datatype/],
    [answer({ outputs: [{ name: 'y', datatype: 'UINT8', shape: [-1] }] }), /outputs\[0\]/],
    [answer({ outputs: [{ ...y, data: [1, 2] }] }), /expected 1 elements/],
  ];
  for (const [given, message] of cases)
    assert.throws(
      () => readInfer(given, undefined),
      (error: unknown) => error instanceof ClientError && error.code === 'BAD_ANSWER' && message.test(error.message),
      String(message),
    );
});

test('outputs that were asked for must be there, of the datatype that was asked for', () => {
  const given = answer({ outputs: [{ name: 'y', datatype: 'UINT8', shape: [1], data: [1] }] });
  assert.deepEqual(readInfer(given, { y: 'UINT8' } as const).outputs.y.data, Uint8Array.of(1));
  assert.throws(() => readInfer(given, { y: 'FP32' } as const), /y: expected this output as FP32, got UINT8/);
  assert.throws(() => readInfer(given, ['z']), /z: expected this output, got none/);
});
