import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAiRoutes } from '../../../functions/routes/openai/routes.ts';
import { createTextEmbeddingsRoutes } from '../../../functions/routes/text-embeddings/routes.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';
import { writeText } from '../../../scripts/fuzz/json-text.ts';
import { mutate, mutateBytes } from '../../../scripts/fuzz/mutate.ts';
import { createRandom } from '../../../scripts/fuzz/random.ts';
import { serveOnly } from '../../helpers/route-host.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { stubTexts } from '../../helpers/text-stub.ts';

const VALID: readonly [path: string, body: object][] = [
  ['/embed', { inputs: ['a', 'b c'], truncate: true, normalize: false, dimensions: 2, prompt_name: 'x' }],
  ['/embed', { inputs: [[1, 2], [3]], truncation_direction: 'Right' }],
  ['/similarity', { inputs: { source_sentence: 'a', sentences: ['b', 'c'] }, parameters: { truncate: true } }],
  ['/tokenize', { inputs: ['a', 'b c'], add_special_tokens: false }],
  ['/v1/embeddings', { input: ['a', 'b c'], model: 'm', encoding_format: 'base64', dimensions: 2, user: 'x' }],
  ['/v1/embeddings', { input: [[1, 2], [3]] }],
];
const BODIES = 150;

test('no body is a fault of the server: each is answered, or refused with a message that is no stack', async (t) => {
  const telemetry = recordTelemetry();
  const { repository } = stubTexts();
  const parser = { parse: (bytes: Buffer) => readJson(bytes) };
  const limits = { onGpu: false, maxQueueSize: 512, maxBatchSize: 32, maxBatchTokens: 16_384 };
  const options = { repository, parser, metrics: telemetry.metrics, maxBodyBytes: 2 ** 22, ...limits };
  const host = await serveOnly(t, [...createTextEmbeddingsRoutes(options), ...createOpenAiRoutes(options)], telemetry);
  const random = createRandom(7);
  const statuses = new Map<number, number>();
  for (const [path, valid] of VALID) {
    for (let i = 0; i < BODIES; i++) {
      let body = Buffer.from(writeText(mutate(structuredClone(valid), random)));
      if (random.chance(0.2)) body = Buffer.from(mutateBytes(body, random));
      const response = await fetch(host.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      const text = await response.text();
      const shown = `${path} ${body.toString().slice(0, 300)}: ${response.status} ${text.slice(0, 300)}`;
      assert.ok([200, 400, 404, 413, 422, 424].includes(response.status), shown);
      const { error } = JSON.parse(text) as { error?: string | { message: string } };
      if (response.status === 200) assert.equal(error, undefined, shown);
      else assert.match(typeof error === 'string' ? error : error!.message, /^[^\n]{1,500}$/, shown);
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    }
  }
  assert.ok(statuses.get(200)! > 50 && [...statuses.values()].reduce((sum, count) => sum + count) === 6 * BODIES);
});
