import type { Fault } from './faulty-proxy.ts';

const replaced =
  (from: RegExp | string, to: string): Fault =>
  (given) => {
    given.text = given.came.replaceAll(from instanceof RegExp ? from : new RegExp(from, 'g'), to);
  };
const status =
  (from: number, to: number): Fault =>
  (given) => {
    if (given.status === from) given.status = to;
  };
const html: Fault = (given) => {
  if (given.status >= 400) given.headers['content-type'] = 'text/html';
};
/** The text of an error without what it names. */
const mute: Fault = (given) => {
  if (given.status >= 400) given.text = '{"error":"the input is wrong"}';
};
const json =
  (change: (body: Record<string, never> & { outputs?: unknown[] }) => void): Fault =>
  (given) => {
    if (given.headers['content-type'] !== 'application/json') return;
    const body = JSON.parse(given.came);
    change(body);
    given.text = JSON.stringify(body);
  };
const whereAsked =
  (asks: RegExp, fault: Fault): Fault =>
  (given, asked) => {
    if (asks.test(`${asked.method} ${asked.path} ${JSON.stringify(asked.headers)} ${asked.body}`)) fault(given, asked);
  };
const lastByte: Fault = (given) => {
  const bytes = Buffer.from(given.came, 'latin1');
  if (given.headers['inference-header-content-length'] === undefined) return;
  given.bytes = Buffer.concat([bytes.subarray(0, -1), Buffer.of(0x11)]);
};
/** A 200 with these floats as the one output, `y`. */
const bytesOf =
  (...values: number[]): Fault =>
  (given) => {
    const blob = Buffer.from(Float32Array.from(values).buffer);
    const y = { name: 'y', datatype: 'FP32', shape: [1, values.length], parameters: { binary_data_size: blob.length } };
    const head = Buffer.from(JSON.stringify({ model_name: 'identity-fp32', outputs: [y] }));
    given.status = 200;
    given.headers['content-type'] = 'application/octet-stream';
    given.headers['inference-header-content-length'] = String(head.length);
    given.bytes = Buffer.concat([head, blob]);
  };
/** Gives a request the answer of the one before it. */
function shifted(): Fault {
  let previous: string | undefined;
  return (given, { path }) => {
    if (!path.includes('identity-int64')) return;
    const { came } = given;
    if (previous !== undefined && given.headers['content-type'] === 'application/json') given.text = previous;
    previous = came;
  };
}

/** A fault for every check that a running server can be held to, and what the check says of it. */
export const FAULTS: readonly [number: number, what: string, fault: Fault, says: RegExp][] = [
  [
    1,
    'extensions as a text',
    json((body) => Object.assign(body, { extensions: 'binary' })),
    /extensions: expected an array/,
  ],
  [1, 'no /v2/', whereAsked(/GET \/v2\/ /, status(200, 404)), /\/v2\/: expected 200, got 404/],
  [4, 'a dimension of -2', replaced('\\[-1,2\\]', '[-2,2]'), /shape: expected whole numbers from -1 on/],
  [4, 'another platform', replaced('onnx_onnxv1', 'onnx'), /platform: expected "onnx_onnxv1"/],
  [4, 'a datatype of its own', replaced('"FP32"', '"FLOAT"'), /FLOAT is none of the protocol's/],
  [
    5,
    'another name',
    whereAsked(
      /ready/,
      json((body) => Object.assign(body, { name: 'x' })),
    ),
    /name and ready/,
  ],
  [6, '400 in place of 404', status(404, 400), /expected 404, got 400/],
  [6, 'HTML in place of JSON', html, /expected application\/json/],
  [7, 'an unknown version taken for the latest', status(404, 200), /expected 404, got 200/],
  [7, 'one version for another', whereAsked(/versions\/1/, replaced('\\[11\\]', '[12]')), /version 1 of two: y/],
  [8, 'no Allow', (given) => delete given.headers.allow, /Allow: expected POST, got none/],
  [9, 'HTML in place of JSON', html, /expected application\/json/],
  [9, '500', status(400, 500), /expected 400, got 500/],
  [10, 'null taken for an object', whereAsked(/ null$/, status(400, 500)), /^null: expected 400/],
  [11, 'an error that names nothing', mute, /expected the error to have/],
  [11, 'the second of two is taken', whereAsked(/"a".*"a"/, status(400, 200)), /one twice, json: expected 400/],
  [12, 'an error that does not tell what was sent', mute, /expected the error to have/],
  [13, 'it is taken', status(400, 200), /one element more: expected 400/],
  [14, 'another number for nested data', whereAsked(/\[\[/, replaced('0\\.5', '0.50')), /outputs: expected/],
  [15, 'no id', json((body) => delete body.id), /id: expected "42"/],
  [15, 'an id of its own', json((body) => Object.assign(body, { id: body.id ?? 'own' })), /none: expected no id/],
  [16, 'the order of the model', json(({ outputs }) => void outputs?.reverse()), /outputs: expected/],
  [16, 'an unknown one passed over', whereAsked(/no-such-output/, status(400, 200)), /unknown: expected 400/],
  [
    17,
    'an element too many',
    json(({ outputs }) => void (outputs as { data?: number[] }[] | undefined)?.[0]?.data?.push(1)),
    /expected 6 elements/,
  ],
  [17, 'another name', json((body) => Object.assign(body, { model_name: 'x' })), /model_name: expected "pair"/],
  [18, 'rounded', replaced('9007199254740993', '9007199254740992'), /expected the same digits/],
  [19, 'it is taken', status(400, 200), /INT64 1.5: expected 400/],
  [20, 'a bare NaN', replaced('"NaN"', 'NaN'), /expected JSON/],
  [21, 'an accent lost', replaced('é', 'e'), /json, BYTES: the output/],
  [22, 'one bit', lastByte, /binary: the output/],
  [23, 'no Content-Length', (given) => delete given.headers['content-length'], /Content-Length: expected/],
  [23, 'JSON for all', whereAsked(/octet|binary_data/, status(200, 400)), /expected 200, got 400/],
  [24, 'refused', whereAsked(/content-length":"0"/, status(200, 400)), /one row: expected 200, got 400/],
  [25, 'taken', status(400, 200), /a byte too many: expected 400/],
  [26, '415', whereAsked(/gzip/, (given) => Object.assign(given, { status: 415 })), /gzip: expected 200, got 415/],
  [27, '400', status(413, 400), /expected 413, got 400/],
  [28, '500', status(400, 500), /expected 400, got 500/],
  [
    29,
    'no shape',
    whereAsked(/"shape":\[0,/, replaced('\\[0,2\\]', '[0,0]')),
    /the shape of c, beside that of one row/,
  ],
  [29, '500', whereAsked(/"shape":\[0,/, (given) => Object.assign(given, { status: 500 })), /expected 400, got 500/],
  [30, 'the answer of another', shifted(), /the answer of request/],
  [
    30,
    'all fail with one',
    whereAsked(/table.*"data":\[38\]/, (given) => Object.assign(given, { status: 500 })),
    /one that fails/,
  ],
  [
    32,
    '415',
    whereAsked(/x-www-form-urlencoded/, (given) => Object.assign(given, { status: 415 })),
    /x-www-form-urlencoded: expected 200, got 415/,
  ],
  [33, 'none', whereAsked(/config/, status(200, 404)), /config: expected 200, got 404/],
  [33, 'dims with the batch', whereAsked(/config/, replaced('\\[2\\]', '[-1,2]')), /input of the configuration/],
  [33, 'types of its own', whereAsked(/config/, replaced('TYPE_INT64', 'INT64')), /input of the configuration/],
  [34, 'the lowest', replaced('"0.750000:1', '"0.250000:0'), /json, the first 1: scores and indices/],
  [34, 'passed over', whereAsked(/classification":-1/, status(400, 200)), /minus one: expected 400/],
  [35, 'taken for a number', whereAsked(/\[NaN|\[null/, bytesOf(0, 1.5)), /NaN: y: expected/],
];
