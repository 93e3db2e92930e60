import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { stripTypeScriptTypes } from 'node:module';
import { test } from 'node:test';
import { type ClientOptions, createClient, type Fetch } from '../../../clients/typescript/src/client.ts';
import { sampleOf } from '../../../functions/page/code/samples.ts';

const URL = 'https://host/predict';
const ODD = JSON.stringify({
  features: { 'it\'s "x" $HOME `id` \\n': ['é\n', true, null, false, 'true', '/\u2028😀'] },
});
/** As a person may have typed it into a field of JSON. */
const TYPED = '{"features":["a\\/b","\\\\/","\\u00e9\\ud83d\\ude00",9007199254740993]}';

test('curl: a shell passes the body unchanged', () => {
  for (const body of [ODD, TYPED]) {
    const command = sampleOf('curl', URL, body).replace('curl', "printf '%s\\n'");
    const { stdout, status } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
    assert.equal(status, 0);
    assert.deepEqual(stdout, `${URL}\n-H\nContent-Type: application/json\n--data-binary\n${body}\n`);
  }
});

test('TypeScript: the code is sound, and its client sends the body', async () => {
  for (const body of [ODD, TYPED, '{"features":{"__proto__":1}}', '{"features":[-9007199254740993,1e3,-0.5]}']) {
    const sent: string[] = [];
    const fetch: Fetch = async (_, init) => {
      sent.push(init.body as string);
      return new Response('{}');
    };
    const script = stripTypeScriptTypes(sampleOf('TypeScript', URL, body)).replace(/^import .*$/m, '');
    const AsyncFunction = (async () => {}).constructor as new (
      ...parts: string[]
    ) => (...given: unknown[]) => Promise<void>;
    const made = (options: ClientOptions) => createClient({ ...options, fetch });
    await new AsyncFunction('createClient', 'console', script)(made, { log() {} });
    assert.deepEqual(JSON.parse(sent[0]!), JSON.parse(body));
    for (const [digits] of body.matchAll(/-?\d{16}/g)) assert.ok(sent[0]!.includes(digits), sent[0]);
  }
});

test('the clients call the model and the version that the address names, below the path of the server', () => {
  const url = 'https://host/base/models/team%2Firis/versions/2/predict';
  assert.match(
    sampleOf('TypeScript', url, TYPED),
    /createClient\(\{ url: "https:\/\/host\/base", model: "team\/iris", version: "2" \}\)/,
  );
  assert.match(sampleOf('Python', url, TYPED), /Client\("https:\/\/host\/base", model="team\/iris", version="2"\) as/);
  assert.match(sampleOf('Python', 'https://host/models/a/predict', TYPED), /Client\("https:\/\/host", model="a"\) as/);
  assert.match(sampleOf('Python', URL, TYPED), /Client\("https:\/\/host"\) as/);
});

test('Python: words and escapes of JSON become those of Python', () => {
  const code = sampleOf('Python', URL, TYPED);
  assert.ok(code.includes(String.raw`row = {"features":["a/b","\\/","\u00e9\ud83d\ude00",9007199254740993]}`), code);
  assert.match(sampleOf('Python', URL, ODD), /True,None,False,"true"/);
});

test('a long body is shown as a file', () => {
  const long = JSON.stringify({ features: new Array(5000).fill(1) });
  for (const language of ['curl', 'Python', 'TypeScript'] as const) {
    const code = sampleOf(language, URL, long);
    assert.ok(code.length < 500 && code.includes('row.json'), code);
  }
});

test('with a token, each sample reads it from a variable: a link or a screenshot of the code has no secret', () => {
  assert.match(sampleOf('curl', URL, TYPED, true), /\n {2}-H "Authorization: Bearer \$TOKEN" \\\n/);
  assert.match(sampleOf('Python', URL, TYPED, true), /import os\n[\s\S]*token=os\.environ\["TOKEN"\]\)/);
  assert.match(sampleOf('TypeScript', URL, TYPED, true), /token: process\.env\.TOKEN \}/);
  const { stdout } = spawnSync('sh', ['-c', sampleOf('curl', URL, TYPED, true).replace('curl', "printf '%s\\n'")], {
    encoding: 'utf8',
    env: { ...process.env, TOKEN: 'abc' },
  });
  assert.match(stdout, /^Authorization: Bearer abc$/m);
});
