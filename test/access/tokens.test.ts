import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { createTokens, type Tokens } from '../../functions/access/tokens.ts';
import { sha256 } from '../helpers/issuer.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';
import { tempFiles } from '../helpers/temp-file.ts';

const write = tempFiles('tokens-');
const fileOf = (...tokens: (string | object)[]): string =>
  JSON.stringify({
    tokens: tokens.map((one) => (typeof one === 'string' ? { name: one, sha256: sha256(one) } : one)),
  });

function rig(file: string, quota?: { rows: number }) {
  const { logger, lines } = recordTelemetry();
  return { tokens: createTokens({ file, quota, logger }), lines };
}

const nameOf = (tokens: Tokens, token: string): string | undefined => tokens.find(sha256(token))?.name;

test('a token is found by its digest, with its rights; any other is not', () => {
  const ops = { name: 'ops', sha256: sha256('o'), models: ['iris'], metrics: true, operator: true, quota: { rows: 7 } };
  const { tokens } = rig(write('rights', fileOf('web', ops)), { rows: 5 });
  const { quota, ...web } = tokens.find(sha256('web'))!;
  assert.deepEqual(web, { id: 'token web', name: 'web', models: undefined, metrics: false, operator: false });
  assert.deepEqual(quota!.limits, { rows: 5 });
  const { quota: own, ...rights } = tokens.find(sha256('o'))!;
  assert.deepEqual(rights, { id: 'token ops', name: 'ops', models: new Set(['iris']), metrics: true, operator: true });
  assert.deepEqual(own!.limits, { rows: 7 });
  for (const other of ['we', 'webs', '', 'o ', sha256('web')]) assert.equal(nameOf(tokens, other), undefined);
  assert.equal(rig(write('unlimited', fileOf('web'))).tokens.find(sha256('web'))!.quota, undefined);
});

test('a file that was replaced is read again', async () => {
  const file = write('replaced', fileOf('old'));
  const { tokens, lines } = rig(file);
  writeFileSync(`${file}.new`, fileOf('new', 'newer'));
  renameSync(`${file}.new`, file);
  assert.deepEqual([nameOf(tokens, 'old'), nameOf(tokens, 'new')], ['old', undefined]);
  await tokens.refresh();
  assert.deepEqual([nameOf(tokens, 'old'), nameOf(tokens, 'new')], [undefined, 'new']);
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [['info', 'AUTH_TOKEN_FILE was read again']],
  );
  await tokens.refresh();
  assert.equal(lines.length, 1);
});

test('a secret that Kubernetes replaces by turning a link is read again, though size and time are the same', async () => {
  const mount = join(dirname(write('marker', '')), 'mount');
  for (const [folder, token] of [
    ['..1', 'first'],
    ['..2', 'other'],
  ] as const) {
    mkdirSync(join(mount, folder), { recursive: true });
    writeFileSync(join(mount, folder, 'tokens.json'), fileOf(token));
    utimesSync(join(mount, folder, 'tokens.json'), 1, 1);
  }
  symlinkSync('..1', join(mount, '..data'));
  symlinkSync('..data/tokens.json', join(mount, 'tokens.json'));
  const { tokens } = rig(join(mount, 'tokens.json'));
  assert.equal(nameOf(tokens, 'first'), 'first');
  symlinkSync('..2', join(mount, '..data_tmp'));
  renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
  await tokens.refresh();
  assert.deepEqual([nameOf(tokens, 'first'), nameOf(tokens, 'other')], [undefined, 'other']);
});

test('a file that breaks is logged once, the tokens before stay valid, and a mended file is read', async () => {
  const file = write('breaks', fileOf('old'));
  const { tokens, lines } = rig(file);
  writeFileSync(file, '{"tokens":');
  await tokens.refresh();
  await tokens.refresh();
  assert.equal(nameOf(tokens, 'old'), 'old');
  rmSync(file);
  await tokens.refresh();
  await tokens.refresh();
  assert.equal(nameOf(tokens, 'old'), 'old');
  assert.deepEqual(
    lines.map(({ level, message }) => `${level}: ${message.slice(0, 95)}`),
    [
      'error: AUTH_TOKEN_FILE cannot be used, and the tokens that it had before stay valid: it is not JSON',
      'error: AUTH_TOKEN_FILE cannot be used, and the tokens that it had before stay valid: ENOENT: no such f',
    ],
  );
  writeFileSync(file, fileOf('new'));
  await tokens.refresh();
  assert.deepEqual([nameOf(tokens, 'old'), nameOf(tokens, 'new')], [undefined, 'new']);
});

test('what a token has used of its quota stays used when the file is read again, unless the quota has changed', async () => {
  const file = write('quota', fileOf({ name: 'a', sha256: sha256('a'), quota: { rows: 5 } }));
  const { tokens } = rig(file);
  const quota = tokens.find(sha256('a'))!.quota;
  writeFileSync(file, fileOf({ name: 'a', sha256: sha256('b'), quota: { rows: 5 } }, 'other'));
  await tokens.refresh();
  assert.equal(tokens.find(sha256('b'))!.quota, quota);
  writeFileSync(file, fileOf({ name: 'a', sha256: sha256('b'), quota: { rows: 6 } }));
  await tokens.refresh();
  assert.deepEqual(tokens.find(sha256('b'))!.quota!.limits, { rows: 6 });
});

test('a file that cannot be used at first is an error in one line', () => {
  assert.throws(() => rig(join(import.meta.dirname, 'none.json')), /ENOENT/);
  assert.throws(() => rig(write('broken', 'x')), { message: 'it is not JSON' });
});
