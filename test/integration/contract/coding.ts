import assert from 'node:assert/strict';
import { request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { gunzipSync, inflateSync } from 'node:zlib';
import type { Host } from '../../helpers/hosts.ts';

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** A request whose answer comes as it was sent: `fetch` would inflate it. */
async function ask(
  host: Host,
  path: string,
  body: string | undefined,
  headers: Record<string, string>,
): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const sent = request(
    `${host.url}${path}`,
    { method: body === undefined ? 'GET' : 'POST', headers: { ...type, ...headers } },
    async (res) => resolve({ status: res.statusCode!, headers: res.headers, body: await buffer(res) }),
  );
  sent.once('error', reject).end(body);
  return promise;
}

const ROWS = 200;
const INSTANCES = JSON.stringify({ instances: Array.from({ length: ROWS }, () => [5.1, 3.5, 1.4, 0.2]) });
const infer = (parameters: object): string =>
  JSON.stringify({
    inputs: [
      {
        name: 'features',
        datatype: 'FP32',
        shape: [ROWS, 4],
        data: Array.from({ length: ROWS }, () => [5.1, 3.5, 1.4, 0.2]).flat(),
      },
    ],
    parameters,
  });
const LARGE: [what: string, path: string, body?: string, headers?: Record<string, string>][] = [
  ['TensorFlow Serving', '/v1/models/iris:predict', INSTANCES],
  ['Vertex AI', '/vertex', INSTANCES],
  ['Open Inference as JSON', '/v2/models/iris/infer', infer({})],
  ['Open Inference as binary data', '/v2/models/iris/infer', infer({ binary_data_output: true })],
  ['metrics', '/metrics'],
  ['OpenAPI', '/openapi.json'],
];
const INFLATE = { gzip: gunzipSync, deflate: inflateSync } as const;

/** Responses and their `Accept-Encoding`. */
export function codings(host: () => Host): void {
  describe('compressed responses', { concurrency: 4 }, () => {
    for (const [what, path, body, headers = {}] of LARGE) {
      test(`a large response comes in the coding that the client asks for: ${what}`, async () => {
        const plain = await ask(host(), path, body, headers);
        assert.equal(plain.status, 200, plain.body.toString());
        assert.deepEqual(
          [plain.headers['content-encoding'], plain.headers.vary, plain.headers['x-content-type-options']],
          [undefined, 'Accept-Encoding', 'nosniff'],
        );
        for (const coding of ['gzip', 'deflate'] as const) {
          const packed = await ask(host(), path, body, {
            ...headers,
            'accept-encoding': `br, ${coding.toUpperCase()}`,
          });
          assert.deepEqual(
            [packed.status, packed.headers['content-encoding'], packed.headers.vary],
            [200, coding, 'Accept-Encoding'],
          );
          assert.equal(Number(packed.headers['content-length']), packed.body.length);
          assert.ok(packed.body.length < plain.body.length / 2, `${packed.body.length} of ${plain.body.length} bytes`);
          assert.deepEqual(
            [packed.headers['content-type'], packed.headers['inference-header-content-length']],
            [plain.headers['content-type'], plain.headers['inference-header-content-length']],
          );
          const inflated = INFLATE[coding](packed.body);
          if (path === '/metrics') assert.match(inflated.toString(), /^# HELP /);
          else assert.ok(inflated.equals(plain.body));
        }
        const refused = await ask(host(), path, body, { ...headers, 'accept-encoding': 'gzip;q=0, deflate;q=0.0' });
        assert.equal(refused.headers['content-encoding'], undefined);
      });
    }

    test('a small response, and a stream of rows, come as they are', async () => {
      const gzip = { 'accept-encoding': 'gzip' };
      const small = await ask(host(), '/predict', '{"features":[5.1,3.5,1.4,0.2]}', gzip);
      assert.deepEqual([small.status, small.headers['content-encoding']], [200, undefined]);
      const rows = await ask(host(), '/batch_predict', INSTANCES, gzip);
      assert.deepEqual([rows.status, rows.headers['content-encoding']], [200, undefined]);
      assert.match(rows.body.toString(), /"done":true,"ok":200/);
    });

    test('no JSON is taken for another type by a browser, errors and streams included', async () => {
      for (const [path, body] of [
        ['/health'],
        ['/predict', '{"features":[5.1,3.5,1.4,0.2]}'],
        ['/predict', '{"features":[]}'],
        ['/nothing'],
        ['/batch_predict', INSTANCES],
        ['/batch_predict', '{}'],
        ['/v2/models/iris/infer', infer({})],
      ] as const) {
        const { headers, status } = await ask(host(), path, body, {});
        assert.equal(headers['x-content-type-options'], 'nosniff', `${path} ${status}`);
      }
    });

    test('rows come as one array only where the client wants that more than lines', async () => {
      for (const [accept, type] of [
        ['application/json', 'application/json'],
        ['application/json;q=0', 'application/x-ndjson'],
        ['application/json;q=0.5, application/x-ndjson', 'application/x-ndjson'],
        ['application/json, application/x-ndjson;q=0.5', 'application/json'],
        ['application/json, text/plain, */*', 'application/json'],
        ['*/*', 'application/x-ndjson'],
      ] as const) {
        const { headers } = await ask(host(), '/batch_predict', INSTANCES, { accept });
        assert.equal(headers['content-type'], type, accept);
      }
    });

    test('a colon in a path may be percent-encoded', async () => {
      for (const path of ['/v1/models/iris%3Apredict', '/v1/models/iris%3apredict']) {
        assert.equal((await ask(host(), path, INSTANCES, {})).status, 200);
      }
    });
  });
}
