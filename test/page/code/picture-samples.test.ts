import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { stripTypeScriptTypes } from 'node:module';
import { test } from 'node:test';
import { openAiSampleOf } from '../../../functions/page/code/openai-sample.ts';
import { pictureSampleOf } from '../../../functions/page/code/picture-samples.ts';
import { type Language, sampleOf } from '../../../functions/page/code/samples.ts';

const URL = 'https://host/predict';
const PICTURE = { type: 'image/jpeg', name: `it's "a" $HOME.jpg` };
const of = (language: Language, hasToken = false) => pictureSampleOf({ language, url: URL, hasToken }, PICTURE);

test('curl: a shell passes the name of the file unchanged, and the media type of the picture', () => {
  const command = of('curl').replace('curl', "printf '%s\\n'");
  const { stdout } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  assert.equal(stdout, `${URL}\n-H\nContent-Type: image/jpeg\n--data-binary\n@${PICTURE.name}\n`);
});

test('TypeScript: fetch sends the bytes of the file', async () => {
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (...given: unknown[]) => Promise<void>;
  const script = stripTypeScriptTypes(of('TypeScript')).replace(/^import .*$/m, '');
  const sent: unknown[] = [];
  const fetch = async (...given: unknown[]) => {
    sent.push(...given);
    return new Response('{}');
  };
  const readFile = async (name: string) => `bytes of ${name}`;
  await new AsyncFunction('fetch', 'readFile', 'console', script)(fetch, readFile, { log() {} });
  const headers = { 'Content-Type': 'image/jpeg' };
  assert.deepEqual(sent, [URL, { method: 'POST', headers, body: `bytes of ${PICTURE.name}` }]);
});

test('Python: the code is sound, and requests sends the file', () => {
  const stub = `
import sys, types, builtins
class Response:
    def raise_for_status(self): pass
    def json(self): return "done"
def post(url, data, headers):
    print(url, data, headers)
    return Response()
class File:
    def __enter__(self): return "file"
    def __exit__(self, *error): pass
def opened(name, mode):
    print(name, mode)
    return File()
builtins.open = opened
sys.modules["requests"] = types.SimpleNamespace(post=post)
`;
  const { stdout, stderr } = spawnSync('python3', ['-c', stub + of('Python')], { encoding: 'utf8' });
  assert.equal(stdout, `${PICTURE.name} rb\n${URL} file {'Content-Type': 'image/jpeg'}\ndone\n`, stderr);
});

test('with a token, each sample of a picture reads it from a variable', () => {
  assert.match(of('curl', true), /-H "Authorization: Bearer \$TOKEN"/);
  assert.match(of('Python', true), /import os\n[\s\S]*"Authorization": "Bearer " \+ os\.environ\["TOKEN"\]/);
  assert.match(of('TypeScript', true), /Authorization: 'Bearer ' \+ process\.env\.TOKEN/);
});

test("OpenAI's client gets the address, the model and the texts", () => {
  const request = { url: 'https://host/v1', model: 'm', texts: ['a "b"', 'é'] };
  const code = openAiSampleOf(request, false);
  assert.ok(code.includes('OpenAI(base_url="https://host/v1", api_key="none")'), code);
  assert.ok(code.includes(String.raw`texts = ["a \"b\"","é"]`) && code.includes('model="m", input=texts'), code);
  assert.match(openAiSampleOf(request, true), /api_key=os\.environ\["TOKEN"\]/);
});

test('several rows are sent to /batch_predict, by each client', () => {
  const url = 'https://host/models/m/batch_predict';
  const body = '{"instances":["a","b"]}';
  assert.match(sampleOf('curl', url, body), /'https:\/\/host\/models\/m\/batch_predict'/);
  const python = sampleOf('Python', url, body);
  assert.match(python, /Client\("https:\/\/host", model="m"\)/);
  assert.match(python, /for row in client\.batch_predict\(body\["instances"\]\):\n {8}print\(row\)$/);
  assert.match(sampleOf('TypeScript', url, body), /for await \(const row of client\.batchPredict\(body\.instances\)\)/);
});
