import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Host, startHost } from '../helpers/hosts.ts';
import { sha256 } from '../helpers/issuer.ts';
import { until } from '../helpers/until.ts';
import { expectedOf, REFS, readInputs } from '../text/refs.ts';
import { npm } from './npm.ts';

/** The clients have a package.json of their own: with what they need they are 90 MB. */
const CLIENTS = join(import.meta.dirname, 'openai-clients');
const MODEL = 'text-embedding-bert';
const INPUTS = readInputs();
const CASES = expectedOf(MODEL)
  // The reference takes names of special tokens in a text as these tokens.
  .cases.filter(({ id }) => id !== 'special-in-text')
  .map(({ id, embedding, input_ids }) => ({ text: INPUTS.get(id)!.first, embedding: embedding!, ids: [...input_ids] }));
const TEXTS = CASES.map(({ text }) => text);

function isInstalled(): boolean {
  const time = (path: string): number => statSync(join(CLIENTS, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return time('node_modules/.package-lock.json') > Math.max(time('package-lock.json'), time('package.json'));
}

// biome-ignore lint/suspicious/noExplicitAny: the types of the clients are not installed with the other packages.
function load(name: string): Promise<any> {
  const require = createRequire(join(CLIENTS, 'package.json'));
  return import(pathToFileURL(require.resolve(name)).href);
}

function assertClose(got: readonly number[], expected: readonly number[]): void {
  assert.equal(got.length, expected.length);
  for (const [i, value] of got.entries()) assert.ok(Math.abs(value - expected[i]!) <= 1e-4, `[${i}]: ${value}`);
}

describe('clients of OpenAI, unchanged', () => {
  const folder = mkdtempSync(join(tmpdir(), 'openai-clients-'));
  let host: Host;
  before(async () => {
    if (!isInstalled()) await npm(CLIENTS, 'ci --ignore-scripts --no-audit --no-fund');
    const tokens = [{ name: 'app', sha256: sha256('app-key') }];
    writeFileSync(join(folder, 'tokens.json'), JSON.stringify({ tokens }));
    host = await startHost('container', {
      MODEL_URI: join(REFS, 'models'),
      MODEL_NAME: MODEL,
      AUTH_TOKEN_FILE: join(folder, 'tokens.json'),
    });
    await until(async () => (await fetch(`${host.url}/ready`)).ok || undefined, 'the model to be ready');
  });
  after(async () => {
    await host?.stop();
    rmSync(folder, { recursive: true });
  });

  /** OpenAI's own client. */
  async function openAi(apiKey = 'app-key') {
    const { OpenAI } = await load('openai');
    return new OpenAI({ baseURL: `${host.url}/v1`, apiKey });
  }

  test("OpenAI's client gets embeddings as numbers, whichever encoding it asks for", async () => {
    const client = await openAi();
    for (const encoding of [{}, { encoding_format: 'float' }]) {
      const { data, usage, model } = await client.embeddings.create({ model: MODEL, input: TEXTS, ...encoding });
      assert.deepEqual([data.length, model], [TEXTS.length, MODEL]);
      for (const [i, { embedding }] of CASES.entries()) assertClose(data[i].embedding, embedding);
      assert.equal(
        usage.prompt_tokens,
        CASES.reduce((sum, { ids }) => sum + ids.length, 0),
      );
    }
  });

  test("OpenAI's client sends one text, token ids, and dimensions", async () => {
    const client = await openAi();
    const [first] = CASES;
    const one = await client.embeddings.create({ model: MODEL, input: first!.text });
    assertClose(one.data[0].embedding, first!.embedding);
    const ids = await client.embeddings.create({ model: MODEL, input: CASES.map((one) => one.ids) });
    for (const [i, { embedding }] of CASES.entries()) assertClose(ids.data[i].embedding, embedding);
    const short = (await client.embeddings.create({ model: MODEL, input: first!.text, dimensions: 16 })).data[0]
      .embedding;
    const norm = Math.hypot(...first!.embedding.slice(0, 16));
    assertClose(
      short,
      first!.embedding.slice(0, 16).map((value) => value / norm),
    );
  });

  test("OpenAI's client lists the models", async () => {
    const client = await openAi();
    const ids: string[] = [];
    for await (const { id, object } of client.models.list()) if (object === 'model') ids.push(id);
    assert.ok(ids.includes(MODEL) && ids.includes('reranker'), ids.join());
  });

  test("OpenAI's client throws the errors of its own classes", async () => {
    const { AuthenticationError, BadRequestError, NotFoundError } = await load('openai');
    const client = await openAi();
    await assert.rejects(
      client.embeddings.create({ model: 'ada', input: 'a' }),
      (error: Error & { code?: string; requestID?: string }) => {
        assert.ok(error instanceof NotFoundError);
        assert.equal(error.code, 'model_not_found');
        assert.match(error.message, /there is no model ada/);
        assert.match(error.requestID!, /./);
        return true;
      },
    );
    await assert.rejects(client.embeddings.create({ model: MODEL, input: [] }), BadRequestError);
    await assert.rejects(client.embeddings.create({ model: 'reranker', input: 'a' }), BadRequestError);
    await assert.rejects((await openAi('other')).embeddings.create({ model: MODEL, input: 'a' }), AuthenticationError);
  });

  test("LangChain's embeddings embed documents in batches, and queries", async () => {
    const { OpenAIEmbeddings } = await load('@langchain/openai');
    const configuration = { baseURL: `${host.url}/v1` };
    const embeddings = new OpenAIEmbeddings({ model: MODEL, apiKey: 'app-key', batchSize: 7, configuration });
    const documents = await embeddings.embedDocuments(TEXTS);
    assert.equal(documents.length, TEXTS.length);
    // It replaces line ends by default: those of the texts would be others.
    for (const [i, { text, embedding }] of CASES.entries()) {
      if (!text.includes('\n')) assertClose(documents[i], embedding);
    }
    assertClose(await embeddings.embedQuery(TEXTS[0]), CASES[0]!.embedding);
  });
});
