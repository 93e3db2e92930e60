import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { BodyBudget, BodyReservation } from '../../../functions/http/body/body-budget.ts';
import { type BufferedBody, receiveBody, type StreamedBody } from '../../../functions/http/body/receive-body.ts';

const TEXT = '{"features":[1,2]}';
const STREAMED: StreamedBody = {
  kind: 'streamed',
  limit: 100,
  bufferedTypes: ['a/whole', 'b/whole'],
  streamTypes: ['c/lines'],
};

function request(body: Buffer, headers: Record<string, string>, rawBody?: Buffer): IncomingMessage {
  const stream = Readable.from([body.subarray(0, 5), body.subarray(5)]);
  const raw = rawBody === undefined ? {} : { rawBody };
  return Object.assign(stream, { headers, complete: true }, raw) as unknown as IncomingMessage;
}

async function receive(
  declared: BufferedBody | StreamedBody,
  headers: Record<string, string>,
  raw?: Buffer,
  sent = TEXT,
) {
  const bytes = headers['content-encoding'] === 'gzip' ? gzipSync(sent) : Buffer.from(sent);
  const body = await receiveBody(request(bytes, headers, raw), declared, new BodyReservation(new BodyBudget(1000)));
  if (Buffer.isBuffer(body)) return String(body);
  const pieces: string[] = [];
  for (let piece = await body.next(); piece !== undefined; piece = await body.next()) pieces.push(String(piece));
  return pieces;
}

test('a buffered body is received completely, if the route accepts its content type', async () => {
  const json: BufferedBody = { kind: 'buffered', limit: 100, mediaTypes: ['application/json'] };
  assert.equal(await receive(json, { 'content-type': 'application/json; charset=utf-8' }), TEXT);
  assert.equal(await receive(json, {}), TEXT);
  await assert.rejects(receive(json, { 'content-type': 'text/csv' }), { code: 'UNSUPPORTED_MEDIA_TYPE' });
  assert.equal(await receive({ kind: 'buffered', limit: 100 }, { 'content-type': 'text/csv' }), TEXT);
  await assert.rejects(receive({ kind: 'buffered', limit: 17 }, { 'content-length': '18' }), { code: 'TOO_LARGE' });
});

test('a compressed body is taken where the route says so', async () => {
  const gzip = { 'content-encoding': 'gzip' };
  assert.equal(await receive({ kind: 'buffered', limit: 100, inflates: true }, gzip), TEXT);
  await assert.rejects(receive({ kind: 'buffered', limit: 100 }, gzip), { code: 'UNSUPPORTED_MEDIA_TYPE' });
  await assert.rejects(receive(STREAMED, { ...gzip, 'content-type': 'c/lines' }), { code: 'UNSUPPORTED_MEDIA_TYPE' });
});

test('a streamed body is received in pieces or completely, depending on its content type', async () => {
  for (const type of ['a/whole', 'b/whole']) assert.equal(await receive(STREAMED, { 'content-type': type }), TEXT);
  assert.equal(await receive(STREAMED, {}), TEXT);
  assert.deepEqual(await receive(STREAMED, { 'content-type': 'c/lines' }), [TEXT.slice(0, 5), TEXT.slice(5)]);
  assert.equal((await receive(STREAMED, { 'content-type': 'c/lines' }, undefined, 'x'.repeat(500))).length, 2);
  await assert.rejects(receive(STREAMED, { 'content-type': 'd/e' }), {
    code: 'UNSUPPORTED_MEDIA_TYPE',
    message: /send a\/whole or b\/whole or c\/lines/,
  });
});

test('what the functions framework has read is limited, also where the route reads a stream', async () => {
  const raw = Buffer.alloc(101, 'x');
  for (const type of ['a/whole', 'c/lines']) {
    await assert.rejects(receive(STREAMED, { 'content-type': type }, raw), { code: 'TOO_LARGE' });
  }
  assert.deepEqual(await receive(STREAMED, { 'content-type': 'c/lines' }, raw.subarray(1)), ['x'.repeat(100)]);
});
