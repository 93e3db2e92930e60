import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Answer, call, type Json } from '../../helpers/calls.ts';
import { type Host, type HostKind, useHost } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import { fixedBatch, manyInputs, rankOne } from '../../helpers/models.ts';
import { createChecker, type ExampleRequest, exampleRequests, faultOf, responsePlace } from '../../helpers/openapi.ts';
import { everyDtype } from './every-dtype.ts';

const MODELS: [name: string, settings: () => Record<string, string>][] = [
  ['every dtype', () => ({ MODEL_URI: modelFolder('every-dtype', everyDtype()) })],
  ['a table with text', () => ({ MODEL_URI: modelFolder('many-inputs', manyInputs()) })],
  ['one row and no more', () => ({ MODEL_URI: modelFolder('fixed-batch', fixedBatch()) })],
  [
    'no batch, and Vertex AI',
    () => ({
      MODEL_URI: modelFolder('rank-one', rankOne()),
      AIP_PREDICT_ROUTE: '/vertex:predict',
      AIP_HEALTH_ROUTE: '/vertex/health',
    }),
  ],
];

/**
 * The document that each model gets: valid, and every example in it is sent and answered as it says. It is the same on every host, on
 * which `irisDocument` tests one.
 */
export function openApi(kind: HostKind): void {
  for (const [name, settings] of kind === 'container' ? MODELS : []) {
    describe(`the OpenAPI document: ${name}`, { concurrency: 1 }, () => {
      examples(useHost(kind, () => ({ ...settings(), INFERENCE_PROCESSES: '1' })));
    });
  }

  describe('PAGE=off', { concurrency: 1 }, () => {
    const host = useHost(kind, () => ({ PAGE: 'off', INFERENCE_PROCESSES: '1' }));

    test('takes away the page, the viewer and what they load, and leaves the document', async () => {
      for (const path of ['/', '/docs', '/page/page.js', '/docs/swagger-ui.css']) {
        const { status, json } = await call(host(), path);
        assert.deepEqual([status, json().code], [404, 'NOT_FOUND'], path);
      }
      assert.equal((await call(host(), '/openapi.json')).status, 200);
    });
  });
}

function examples(host: () => Host): void {
  test('is valid, and every example in it is answered as it says', async () => {
    const document = await readDocument(host());
    assert.equal(await faultOf(document), undefined);
    const check = createChecker(document);
    const requests = exampleRequests(document);
    assert.ok(requests.length >= 25, String(requests.length));
    for (const request of requests) {
      const { method, path, headers, body, title, mayFail } = request;
      const answer = await call(host(), path, { method, headers, ...(body !== undefined && { body }) });
      assert.ok(answer.status === 200 || mayFail, `${title}: ${answer.status} ${answer.text}`);
      assert.equal(faultInBody(request), undefined, title);
      assert.equal(faultInAnswer(request, answer), undefined, `${title}: ${answer.text.slice(0, 500)}`);
    }

    function faultInBody({ place, headers, body }: ExampleRequest): string | undefined {
      const type = headers['content-type'];
      if (body === undefined || type === undefined) return undefined;
      const media = [...place, 'requestBody', 'content', type];
      if (type === 'application/json') return check([...media, 'schema'], JSON.parse(body));
      return faultInLines(body, [...media, 'x-item-schema']);
    }

    function faultInAnswer(request: ExampleRequest, { status, headers, text }: Answer): string | undefined {
      const type = (headers.get('content-type') ?? '').split(';')[0]!;
      const media = [...responsePlace(document, request, status), 'content', type];
      if (type === 'application/json') return check([...media, 'schema'], JSON.parse(text));
      if (type === 'application/x-ndjson') return faultInLines(text, [...media, 'x-item-schema']);
      return check([...media, 'schema'], text);
    }

    function faultInLines(text: string, place: string[]): string | undefined {
      const lines = text.split('\n').filter((line) => line !== '');
      return lines.map((line) => check(place, JSON.parse(line))).find((fault) => fault !== undefined);
    }
  });
}

/** The document and the pages of the bundled iris model. */
export function irisDocument(host: () => Host): void {
  describe('the OpenAPI document of iris', { concurrency: 1 }, () => {
    examples(host);

    test('types a row by its features, and the label by its classes', async () => {
      const document = await readDocument(host());
      const check = createChecker(document);
      const row = (features: unknown) => check(['components', 'schemas', 'PredictBody'], { features });
      const named = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 'NaN' };
      assert.equal(row([5.1, 3.5, 1.4, '-Infinity']), undefined);
      assert.equal(row(named), undefined);
      for (const wrong of [[5.1, 3.5, 1.4], [5.1, 3.5, 1.4, '0.2'], { ...named, colour: 1 }, { sepal_length: 1 }])
        assert.notEqual(row(wrong), undefined, JSON.stringify(wrong));
      assert.deepEqual(document.components.schemas.Prediction.properties.label.enum, [
        'setosa',
        'versicolor',
        'virginica',
      ]);
      assert.deepEqual(document['x-model'].example, { features: [5.1, 3.5, 1.4, 0.2] });
    });

    test('is sent once: whoever has it gets 304, compressed for those who take that', async () => {
      const first = await call(host(), '/openapi.json', { headers: { 'accept-encoding': 'identity' } });
      assert.equal(first.headers.get('content-encoding'), null);
      const tag = first.headers.get('etag') ?? '';
      assert.match(tag, /^"[\w-]+"$/);
      const headers = { 'accept-encoding': 'identity', 'if-none-match': tag };
      const again = await call(host(), '/openapi.json', { headers });
      assert.deepEqual([again.status, again.text], [304, '']);
      const packed = await call(host(), '/openapi.json', { headers: { 'accept-encoding': 'br, gzip' } });
      assert.equal(packed.headers.get('content-encoding'), 'gzip');
      assert.equal(packed.text, first.text);
      assert.notEqual(packed.headers.get('etag'), tag);
    });

    test('/ and /docs come with a policy that lets nothing from elsewhere in, and with all that they name', async () => {
      for (const path of ['/', '/docs']) {
        const { status, headers, text } = await call(host(), path);
        assert.equal(status, 200);
        const policy = headers.get('content-security-policy') ?? '';
        assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/);
        assert.doesNotMatch(policy, /unsafe|http|\*/);
        assert.doesNotMatch(text, /<script>|<style|style=|\son\w+=|https?:/);
        const named = Array.from(text.matchAll(/(?:src|href)="([^"#:]+)"/g), ([, link]) => link!);
        assert.ok(named.length >= 4);
        for (const link of named) {
          const asset = await call(host(), new URL(link, host().url + path).pathname);
          assert.deepEqual([asset.status, asset.headers.get('x-content-type-options')], [200, 'nosniff'], link);
        }
      }
    });
  });
}

async function readDocument(host: { url: string }): Promise<Json> {
  const { status, json } = await call(host, '/openapi.json');
  assert.equal(status, 200);
  return json();
}
