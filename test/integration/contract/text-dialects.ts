import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type Answer, call, type Json, metric, post } from '../../helpers/calls.ts';
import { type HostKind, useHost } from '../../helpers/hosts.ts';
import { sha256 } from '../../helpers/issuer.ts';
import { createChecker, exampleRequests, faultOf, responsePlace } from '../../helpers/openapi.ts';
import { type Case, expectedOf, REFS, readInputs } from '../../text/refs.ts';

const INPUTS = readInputs();
const TOLERANCE = 1e-4;
const MODELS = join(REFS, 'models');

function assertClose(got: readonly number[], expected: readonly number[], place: string): void {
  assert.equal(got.length, expected.length, place);
  for (const [i, value] of got.entries()) {
    assert.ok(Math.abs(value - expected[i]!) <= TOLERANCE, `${place}: [${i}] is ${value}, expected ${expected[i]}`);
  }
}

function jsonOf(answer: Answer): Json {
  assert.equal(answer.status, 200, answer.text);
  return answer.json();
}

/** The cases of a model, with their texts; without the one in which the reference takes names of special tokens as these tokens. */
const casesOf = (model: string): (Case & { first: string; second: string })[] =>
  expectedOf(model)
    .cases.filter(({ id }) => id !== 'special-in-text')
    .map((one) => ({ ...one, second: '', ...INPUTS.get(one.id)! }));

const floatsOf = (base64: string): number[] => {
  const bytes = Buffer.from(base64, 'base64');
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
};

/** The dialects of text-embeddings-inference and of OpenAI, with exports of which torch's values are known. */
export function textDialects(kind: HostKind): void {
  describe('text-embeddings-inference and OpenAI', { concurrency: 1 }, () => {
    const host = useHost(kind, () => ({
      MODEL_URI: MODELS,
      MODEL_NAME: 'text-embedding-bert',
      INFERENCE_PROCESSES: '1',
    }));
    const send = (path: string, body: unknown): Promise<Answer> => post(host(), path, body);
    const embeddings = casesOf('text-embedding-bert');

    test('/embed gives the embeddings of torch, for texts together and alone', async () => {
      const together = jsonOf(await send('/embed', { inputs: embeddings.map(({ first }) => first) }));
      for (const [i, { id, first, embedding }] of embeddings.entries()) {
        assertClose(together[i], embedding!, id);
        const [alone] = jsonOf(await send('/embed', { inputs: first }));
        assertClose(alone, embedding!, id);
      }
    });

    test('/embed takes token ids, and gives what their texts give', async () => {
      const { headers, json } = await send('/embed', { inputs: embeddings.map(({ input_ids }) => input_ids) });
      for (const [i, { id, embedding }] of embeddings.entries()) assertClose(json()[i], embedding!, id);
      assert.equal(
        headers.get('x-compute-tokens'),
        String(embeddings.reduce((sum, one) => sum + one.input_ids.length, 0)),
      );
    });

    test('a text that is too long is cut, which is told, or refused', async () => {
      const { first } = embeddings.find(({ id }) => id === 'en-long')!;
      const cut = await send('/embed', { inputs: ['a', first] });
      assert.deepEqual([cut.status, cut.headers.get('x-truncated-inputs')], [200, '1']);
      const refused = await send('/embed', { inputs: ['a', first], truncate: false });
      assert.deepEqual([refused.status, refused.json().error_type], [422, 'validation']);
      assert.match(refused.json().error, /^inputs\[1\]: the text has 1934 tokens: expected at most 96/);
    });

    test('/tokenize gives the ids of the reference', async () => {
      const texts = embeddings.filter(({ untruncated_length }) => untruncated_length === undefined);
      const tokens = jsonOf(await send('/tokenize', { inputs: texts.map(({ first }) => first) }));
      for (const [i, { id, input_ids }] of texts.entries()) {
        assert.deepEqual(
          tokens[i].map((token: { id: number }) => token.id),
          input_ids,
          id,
        );
        const { first } = texts[i]!;
        const characters = Array.from(first);
        for (const { special, start, stop, text } of tokens[i]) {
          if (!special) assert.equal(text, characters.slice(start, stop).join(''), id);
        }
      }
    });

    test('/similarity is the product of the embeddings', async () => {
      const [source, ...others] = embeddings;
      const inputs = { source_sentence: source!.first, sentences: others.map(({ first }) => first) };
      const cosines = others.map(({ embedding }) =>
        embedding!.reduce((sum, value, i) => sum + value * source!.embedding![i]!, 0),
      );
      assertClose(jsonOf(await send('/similarity', { inputs })), cosines, 'similarity');
    });

    test('/rerank ranks as the reference does', async () => {
      const { query, documents, best_first } = expectedOf('reranker').settings.ranking!;
      for (const raw_scores of [false, true]) {
        const body = { query, texts: documents, raw_scores, return_text: true };
        const ranks: { index: number; score: number; text: string }[] = jsonOf(
          await send('/models/reranker/rerank', body),
        );
        assert.deepEqual(
          ranks.map(({ index }) => index),
          best_first.map(({ index }) => index),
        );
        assert.ok(ranks.every(({ index, text }) => text === documents[index]));
        assertClose(
          ranks.map(({ score }) => score),
          best_first.map(({ logit, sigmoid }) => (raw_scores ? logit : sigmoid)),
          `raw_scores ${raw_scores}`,
        );
      }
    });

    test('/predict with inputs gives the scores of torch, for texts and for pairs', async () => {
      const labels = ['negative', 'neutral', 'positive'];
      const classified = casesOf('text-classifier');
      const batch = { inputs: classified.map(({ first }) => [first]) };
      for (const raw_scores of [false, true]) {
        const scores = jsonOf(await send('/models/text-classifier/predict', { ...batch, raw_scores }));
        for (const [i, { id, softmax, logits }] of classified.entries()) {
          const byLabel = new Map(scores[i].map((one: { label: string; score: number }) => [one.label, one.score]));
          assertClose(
            labels.map((label) => Number(byLabel.get(label))),
            (raw_scores ? logits : softmax)!,
            id,
          );
          assert.ok(scores[i][0].score >= scores[i][1].score && scores[i][1].score >= scores[i][2].score, id);
        }
      }
      const many = Array.from({ length: 4000 }, (_, i) => [classified[i % classified.length]!.first]);
      const repeated = jsonOf(await send('/models/text-classifier/predict', { inputs: many }));
      const once = jsonOf(await send('/models/text-classifier/predict', batch));
      assert.equal(repeated.length, many.length);
      for (const [i, [best]] of repeated.entries()) {
        const [expected] = once[i % classified.length];
        assert.equal(best.label, expected.label);
        assertClose([best.score], [expected.score], String(i));
      }
      const pairs = casesOf('reranker');
      const inputs = pairs.map(({ first, second }) => [first, second]);
      const scored = jsonOf(await send('/models/reranker/predict', { inputs }));
      for (const [i, { id, sigmoid }] of pairs.entries()) assertClose([scored[i][0].score], [Number(sigmoid)], id);
    });

    test('/v1/embeddings gives the embeddings of torch in both encodings, and counts their tokens', async () => {
      const input = embeddings.map(({ first }) => first);
      const tokens = embeddings.reduce((sum, { input_ids }) => sum + input_ids.length, 0);
      for (const encoding_format of ['float', 'base64']) {
        const body = { input, encoding_format, model: 'text-embedding-bert' };
        const { data, usage, model, object } = jsonOf(await send('/v1/embeddings', body));
        assert.deepEqual(
          [object, model, usage],
          ['list', 'text-embedding-bert', { prompt_tokens: tokens, total_tokens: tokens }],
        );
        for (const [i, { id, embedding }] of embeddings.entries()) {
          assert.equal(data[i].index, i);
          const values = encoding_format === 'float' ? data[i].embedding : floatsOf(data[i].embedding);
          assertClose(values, embedding!, id);
        }
      }
    });

    test('10,000 texts of one request get their own embeddings, in order', async () => {
      const count = await metric(host(), 'predictions_total', { model: 'text-embedding-bert', outcome: 'ok' });
      const input = Array.from({ length: 10_000 }, (_, i) => embeddings[i % embeddings.length]!.first);
      const { data } = jsonOf(await send('/v1/embeddings', { input, encoding_format: 'base64' }));
      assert.equal(data.length, 10_000);
      for (const [i, { index, embedding }] of data.entries()) {
        assert.equal(index, i);
        assertClose(floatsOf(embedding), embeddings[i % embeddings.length]!.embedding!, String(i));
      }
      const now = await metric(host(), 'predictions_total', { model: 'text-embedding-bert', outcome: 'ok' });
      assert.equal(now - count, 10_000);
    });

    test('an unknown model, and one for another task: each dialect says it in its form', async () => {
      const unknown = await send('/v1/embeddings', { input: 'a', model: 'ada' });
      assert.deepEqual([unknown.status, unknown.json().error.code], [404, 'model_not_found']);
      const classifier = await send('/v1/embeddings', { input: 'a', model: 'text-classifier' });
      assert.deepEqual([classifier.status, classifier.json().error.type], [400, 'invalid_request_error']);
      const embedding = await send('/models/text-classifier/embed', { inputs: 'a' });
      assert.deepEqual([embedding.status, embedding.json().error_type], [424, 'backend']);
      // The functions framework refuses such a body itself.
      if (kind !== 'container') return;
      const malformed = await send('/embed', '{"inputs":');
      assert.deepEqual([malformed.status, malformed.json().error_type], [422, 'validation']);
    });

    test('the OpenAPI document is valid, and its examples for the task of the model are answered as it says', async () => {
      const document = (await call(host(), '/openapi.json')).json();
      assert.equal(await faultOf(document), undefined);
      const check = createChecker(document);
      const requests = exampleRequests(document).filter(
        ({ path, mayFail }) => !mayFail && /\/(embed|similarity|tokenize|info|v1\/embeddings)$/.test(path),
      );
      assert.equal(requests.length, 13);
      for (const request of requests) {
        const { method, path, headers, body, title, place } = request;
        const answer = await call(host(), path, { method, headers, ...(body !== undefined && { body }) });
        assert.equal(answer.status, 200, `${title}: ${answer.text}`);
        const schema = [...responsePlace(document, request, 200), 'content', 'application/json', 'schema'];
        assert.equal(check(schema, answer.json()), undefined, title);
        if (body === undefined) continue;
        assert.equal(
          check([...place, 'requestBody', 'content', 'application/json', 'schema'], JSON.parse(body)),
          undefined,
        );
      }
    });
  });

  describe('text-embeddings-inference and OpenAI, with tokens', { concurrency: 1 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'text-dialects-'));
    after(() => rmSync(folder, { recursive: true }));
    const host = useHost(kind, () => {
      const tokens = [
        { name: 'embedder', sha256: sha256('embedder'), models: ['text-embedding-bert'], quota: { rows: 100 } },
        { name: 'ranker', sha256: sha256('ranker'), models: ['reranker'] },
      ];
      writeFileSync(join(folder, 'tokens.json'), JSON.stringify({ tokens }));
      return {
        MODEL_URI: MODELS,
        MODEL_NAME: 'text-embedding-bert',
        INFERENCE_PROCESSES: '1',
        AUTH_TOKEN_FILE: join(folder, 'tokens.json'),
      };
    });
    const send = (path: string, body: unknown, token?: string): Promise<Answer> =>
      post(host(), path, body, token === undefined ? {} : { authorization: `Bearer ${token}` });

    test('a request needs a token, and the model of the path or the body must be one of its models', async () => {
      for (const [path, body] of [
        ['/embed', { inputs: 'a' }],
        ['/v1/embeddings', { input: 'a' }],
        ['/v1/embeddings', { input: 'a', model: 'text-embedding-bert' }],
      ] as const) {
        assert.equal((await send(path, body)).status, 401, path);
        assert.equal((await send(path, body, 'embedder')).status, 200, path);
        assert.equal((await send(path, body, 'ranker')).status, 404, path);
      }
      const foreign = await send('/v1/embeddings', { input: 'a', model: 'reranker' }, 'embedder');
      const unknown = await send('/v1/embeddings', { input: 'a', model: 'none' }, 'embedder');
      assert.equal(foreign.text, unknown.text.replaceAll('none', 'reranker'));
      assert.equal((await send('/models/reranker/rerank', { query: 'a', texts: ['b'] }, 'ranker')).status, 200);
    });

    test('texts count as rows of the quota of a caller', async () => {
      // As for every request, those after it are refused until they have been made up for.
      const many = { inputs: new Array(2000).fill('a') };
      assert.equal((await send('/embed', many, 'embedder')).status, 200);
      const { status, json } = await send('/embed', { inputs: 'a' }, 'embedder');
      assert.deepEqual([status, json().error_type, json().code], [429, 'overloaded', 'QUOTA_EXCEEDED']);
      const asked = await send('/v1/embeddings', { input: 'a' }, 'embedder');
      assert.deepEqual([asked.status, asked.json().error.code], [429, 'rate_limit_exceeded']);
    });
  });
}
