import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blocks, DOCUMENTATION, readPage, section } from '../helpers/readme.ts';
import { run, serve } from './program.ts';

/** Sends 300 000 rows, about 9 MB, and only then reads: the answers are far more than the buffers of both sides hold. */
const SENDS_FIRST = `
import http.client, sys

connection = http.client.HTTPConnection("localhost", int(sys.argv[1]))
body = b'{"features":[5.1,3.5,1.4,0.2]}\\n' * 300000
connection.request("POST", "/batch_predict", body=body, headers={"Content-Type": "application/x-ndjson"})
response = connection.getresponse()
lines = response.read().splitlines()
print(response.status, len(lines))
print(lines[-1].decode())
`;

test('every Python block of the documentation is Python', async () => {
  const shown = DOCUMENTATION.flatMap((page) => blocks(readPage(page))).filter(({ language }) => language === 'python');
  assert.ok(shown.length > 5, String(shown.length));
  for (const { text } of shown) {
    const { stderr, code } = await run('python3', ['-c', 'import ast, sys; ast.parse(sys.argv[1])', text]);
    assert.equal(code, 0, `${text}\n${stderr}`);
  }
});

test('the Python client of docs/clients.md sends and reads 20 000 rows', async () => {
  const server = await serve(['scripts/start.ts']);
  try {
    const client = blocks(section('docs/clients.md', 'Python')).find(({ language }) => language === 'python')!;
    const typed = client.text.replace('"localhost", 8080', `"localhost", ${server.port}`);
    const { stdout, stderr, code } = await run('python3', ['-c', typed]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^\{'done': True, 'ok': 20000, 'failed': 0\} \{.*0: \d+.*\}\n$/);
  } finally {
    await server.stop();
  }
});

test('a Python client that sends everything before it reads gets an end that explains it, not a hang', async () => {
  const server = await serve(['scripts/start.ts'], { REQUEST_TIMEOUT_MS: '2000' });
  try {
    const { stdout, stderr, code } = await run('python3', ['-c', SENDS_FIRST, String(server.port)]);
    assert.equal(code, 0, stderr);
    const [head, last] = stdout.split('\n') as [string, string];
    const [status, lines] = head.split(' ').map(Number) as [number, number];
    assert.equal(status, 200);
    const end = JSON.parse(last);
    assert.deepEqual({ ...end, message: '' }, { done: false, next_index: lines - 1, code: 'IDLE', message: '' });
    assert.match(end.message, /not read for 2000 ms: read it while you send/);
  } finally {
    await server.stop();
  }
});
