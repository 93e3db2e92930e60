import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { model, node, value } from '../../functions/onnx/proto/build.ts';
import { type Answer, call, linesOf, metric, post } from '../helpers/calls.ts';
import { useHost } from '../helpers/hosts.ts';
import { modelFolder } from '../helpers/model-folder.ts';
import { writeModel } from '../helpers/models.ts';
import { bodyWith, everyDtype } from './contract/every-dtype.ts';

const SEED = 20261123;
const BODIES = 500;
const AT_ONCE = 8;
const JSON_TYPE = 'application/json';
const ROUTES: [path: string, type: string][] = [
  ['/predict', JSON_TYPE],
  ['/batch_predict', JSON_TYPE],
  ['/batch_predict', 'application/x-ndjson'],
];
/** An integer that only a parser which keeps its digits gives back. */
const CHECK = bodyWith({ int64: '[9007199254740993,1]' });

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  fc.string({ unit: 'binary', maxLength: 200 }).map((text) => Buffer.from(text)),
  fc
    .string({ unit: fc.constantFrom(...'{}[]",:0123456789.eE+-tfn\\u \n'), maxLength: 200 })
    .map((text) => Buffer.from(text)),
);

/** A valid body in which something was cut, doubled, replaced or put in. */
const broken = fc
  .record({
    body: fc.constantFrom(
      CHECK,
      bodyWith({ string: '["ø","😀"]', bool: '[true,false]' }),
      `[${CHECK},${CHECK}]`,
      `{"instances":[${CHECK.slice('{"features":'.length, -1)}]}`,
      `${CHECK}\n${CHECK}\n`,
    ),
    edits: fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        cut: fc.nat(20),
        put: fc.constantFrom(
          '',
          '"',
          '{',
          '}',
          '[',
          ']',
          ',',
          ':',
          '\\',
          '\n',
          '\0',
          '-',
          '1e999',
          'null',
          'true',
          '1.5',
          '[[[[',
          '"NaN"',
          '\ud800',
          '__proto__',
        ),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  })
  .map(({ body, edits }) =>
    Buffer.from(
      edits.reduce((text, { at, cut, put }) => {
        const from = Math.floor(at * text.length);
        return text.slice(0, from) + put + text.slice(from + cut);
      }, body),
    ),
  );

/** A long repeat, alone or where something is expected: what takes more than linear time takes minutes of it. */
const long = fc
  .record({
    piece: fc.constantFrom(...'=A0 ["{,-\\', '[]', '{},', '1,', '""', '"a":1,', '\\u0041', '\n', '\r\n'),
    end: fc.constantFrom('', 'x', '=', '"', ']', '}'),
    wrap: fc.constantFrom(
      ['', ''],
      ['"', '"'],
      ['{"features":[', ']}'],
      ['{"features":{', '}}'],
      ['{"features":{"string":["', '",""]}}'],
      ['{"instances":[{"string":{"b64":"', '"}}]}'],
    ),
    characters: fc.constantFrom(1000, 60_000, 200_000),
  })
  .map(({ piece, end, wrap: [open, close], characters }) =>
    Buffer.from(`${open}${piece.repeat(characters / piece.length)}${end}${close}\n${CHECK}`),
  );

/** Valid JSON of a wrong kind: any value, under the names that mean something here. */
const misshapen = fc
  .record({
    value: fc.jsonValue({ maxDepth: 4 }),
    wrap: fc.constantFrom(
      '',
      'features',
      'instances',
      'int64',
      'features.int64',
      'features.free',
      'constructor',
      '__proto__',
    ),
  })
  .map(({ value, wrap }) => {
    const text = wrap
      .split('.')
      .filter((name) => name !== '')
      .reduceRight((inner, name) => `{${JSON.stringify(name)}:${inner}}`, JSON.stringify(value));
    return Buffer.from(text);
  });

function assertSound({ status, headers, text, json }: Answer): void {
  assert.ok(status < 500, `${status} ${text}`);
  const type = headers.get('content-type') ?? '';
  if (status === 200) {
    assert.match(type, /^application\/(json|x-ndjson)$/);
    const bad =
      type === 'application/json' ? [] : linesOf({ text } as Answer).filter(({ error }) => error !== undefined);
    for (const { error } of bad) assert.ok(error.code === 'INVALID_INPUT' && error.message.length < 600, text);
    return;
  }
  assert.equal(type, 'application/json');
  const { error, code, request_id } = json();
  assert.deepEqual([status, code, typeof request_id], [400, 'INVALID_INPUT', 'string'], text);
  assert.ok(error.length > 5 && error.length < 600, error);
}

describe('malformed bodies', { concurrency: 1 }, () => {
  const host = useHost('container', () => ({
    MODEL_URI: modelFolder('every-dtype', everyDtype()),
    INFERENCE_PROCESSES: '1',
  }));

  for (const [title, arbitrary] of [
    [`${BODIES} of random bytes`, bytes],
    [`${BODIES} that are almost right`, fc.oneof(broken, misshapen)],
    [`${BODIES} of long repeats`, long],
  ] as const) {
    for (const [path, type] of ROUTES) {
      test(`${title}, as ${type} to ${path}: no 5xx, always JSON, and the server answers the next request`, async () => {
        const bodies = fc.sample(arbitrary, { seed: SEED, numRuns: BODIES });
        for (let from = 0; from < BODIES; from += AT_ONCE) {
          const some = bodies.slice(from, from + AT_ONCE).map(async (body) => {
            const answer = await call(host(), path, { method: 'POST', body, headers: { 'content-type': type } });
            try {
              assertSound(answer);
            } catch (cause) {
              throw new Error(`the body ${JSON.stringify(body.toString())}`, { cause });
            }
          });
          await Promise.all(some);
          const { status, text } = await post(host(), '/predict', CHECK);
          assert.equal(status, 200, text);
          assert.ok(text.includes('"out_int64":[9007199254740993,1]'));
        }
      });
    }
  }

  test('and no engine process was lost', async () => assert.equal(await metric(host(), 'engine_restarts_total'), 0));
});

describe('inputs that give one dimension different lengths', { concurrency: 1 }, () => {
  const pair = model({
    name: 'pair',
    nodes: [node('Add', ['a', 'b'], ['c'])],
    inputs: [value('a', 'float32', ['batch', 'sequence']), value('b', 'float32', ['batch', 'sequence'])],
    outputs: [value('c', 'float32', ['batch', 'sequence'])],
  });
  const root = mkdtempSync(join(tmpdir(), 'unequal-'));
  after(() => rmSync(root, { recursive: true }));
  const host = useHost('container', () => {
    writeModel(root, 'joined', pair, { batching: true });
    writeModel(root, 'alone', pair, { batching: false });
    return { MODEL_URI: root, MODEL_NAME: 'joined', INFERENCE_PROCESSES: '1' };
  });
  const tensor = (name: string, shape: number[]) => ({
    name,
    datatype: 'FP32',
    shape,
    data: new Array(shape.reduce((a, b) => a * b)).fill(1),
  });
  const sequence = /dimension sequence .*got 3 in dimension 1 of input a and 2 in dimension 1 of input b/;

  for (const name of ['joined', 'alone']) {
    test(`are told by both inputs, the dimension and its lengths, in every dialect (${name})`, async () => {
      const bodies: [path: string, body: object][] = [
        [`/models/${name}/predict`, { features: { a: [1, 2, 3], b: [1, 2] } }],
        [`/v1/models/${name}:predict`, { instances: [{ a: [1, 2, 3], b: [1, 2] }] }],
        [`/v1/models/${name}:predict`, { inputs: { a: [[1, 2, 3]], b: [[1, 2]] } }],
        [`/v2/models/${name}/infer`, { inputs: [tensor('a', [1, 3]), tensor('b', [1, 2])] }],
      ];
      for (const [path, body] of bodies) {
        const { status, json } = await post(host(), path, body);
        assert.deepEqual([status, json().code], [400, 'INVALID_INPUT'], path);
        assert.match(json().error, sequence, path);
      }
      const batch = { inputs: [tensor('a', [3, 2]), tensor('b', [2, 2])] };
      const { status, json } = await post(host(), `/v2/models/${name}/infer`, batch);
      assert.equal(status, 400);
      assert.match(json().error, /got 3 .*a.* 2 .*b/);
    });
  }

  test('what the model broadcasts is answered as it always was', async () => {
    const { status, json } = await post(host(), '/v2/models/alone/infer', {
      inputs: [tensor('a', [1, 3]), tensor('b', [2, 1])],
    });
    assert.deepEqual([status, json().outputs[0].shape], [200, [2, 3]]);
  });
});
