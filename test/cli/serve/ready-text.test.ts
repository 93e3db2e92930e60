import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { addressLines, exampleCall } from '../../../functions/cli/serve/ready-text.ts';
import { createRowDecoder } from '../../../functions/model/folder/rows.ts';
import type { Signature } from '../../../functions/tensor/tensor.ts';

const ADDRESS = { url: 'http://localhost:8080', hasPage: true, needsToken: false };

function live(inputs: Signature['inputs'], features?: unknown) {
  const signature: Signature = { inputs, outputs: [] };
  const manifest = features === undefined ? {} : { example: { features: features as never } };
  return { signature, manifest, examples: [], rows: createRowDecoder(signature, undefined, false) };
}

const FLOATS = [{ name: 'x', dtype: 'float32', shape: [-1, 2] }] as const;

/** The words of a line, as a shell reads it. */
function words(line: string): string[] {
  const { stdout } = spawnSync('sh', ['-c', `for word in ${line}; do printf '%s\\n' "$word"; done`], {
    encoding: 'utf8',
    env: { TOKEN: 'secret' },
  });
  return stdout.trimEnd().split('\n');
}

test('the call has the example of the manifest, or zeros of the signature', () => {
  const [curl, url, ...rest] = words(exampleCall(live(FLOATS, [1.5, 2]), ADDRESS));
  assert.deepEqual([curl, url], ['curl', 'http://localhost:8080/predict']);
  assert.deepEqual(rest, ['-H', 'Content-Type: application/json', '-d', '{"features":[1.5,2]}']);
  const body = words(exampleCall(live(FLOATS), ADDRESS)).at(-1)!;
  assert.equal(JSON.parse(body).features.length, 2);
});

test('a value with a quote is one word of the shell', () => {
  const inputs = [{ name: 'text', dtype: 'string', shape: [-1, 1] }] as const;
  const body = words(exampleCall(live(inputs, ["it's; $HOME"]), ADDRESS)).at(-1)!;
  assert.deepEqual(JSON.parse(body), { features: ["it's; $HOME"] });
});

test('a server that authenticates its callers gets a token from the shell', () => {
  assert.ok(
    words(exampleCall(live(FLOATS), { ...ADDRESS, needsToken: true })).includes('Authorization: Bearer secret'),
  );
});

test('inputs that are too long for a line are described', () => {
  const inputs = [{ name: 'image', dtype: 'float32', shape: [-1, 3, 224, 224] }] as const;
  const text = exampleCall(live(inputs), ADDRESS);
  assert.match(text, /^POST http:\/\/localhost:8080\/predict; .*: image float32 \[-1, 3, 224, 224\]$/);
});

test('the lines name the page unless it is off, the API and how to stop', () => {
  const names = (lines: string[]): string[] => lines.map((line) => line.trim().split(' ')[0]!);
  assert.deepEqual(names(addressLines(ADDRESS, 'curl')), ['page', 'API', 'predict', 'stop']);
  const withoutPage = addressLines({ ...ADDRESS, hasPage: false }, undefined);
  assert.deepEqual(names(withoutPage), ['API', 'stop']);
  assert.match(withoutPage[0]!, /http:\/\/localhost:8080\/openapi\.json$/);
});
