import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { State } from '../../helpers/google-cloud/gcloud-stand-in.ts';
import { run } from '../../system/program.ts';

const SCRIPT = join(import.meta.dirname, '../../../scripts/cloud-build/move-traffic.sh');
const STAND_IN = join(import.meta.dirname, '../../helpers/google-cloud/gcloud-stand-in.ts');
const OLD = 'ml-model-1111111-aaaaaaaa';
const NEW = 'ml-model-2222222-bbbbbbbb';
const NEWER = 'ml-model-3333333-cccccccc';
const FINE = Array.from({ length: 100 }, () => 200);
const BAD = [...FINE, 500, 503];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'move-traffic-'));
  const gcloud = join(folder, 'gcloud');
  writeFileSync(gcloud, `#!/bin/bash\nexec '${process.execPath}' '${STAND_IN}' "$@"\n`);
  chmodSync(gcloud, 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

function environment(state: Partial<State>, env: Record<string, string> = {}): Record<string, string> {
  const created = {
    [OLD]: '2026-01-01T00:00:00Z',
    [NEW]: '2026-01-01T00:00:01.5Z',
    [NEWER]: '2026-01-01T00:00:02Z',
  };
  const start: State = {
    traffic: { [OLD]: 100 },
    created,
    tags: ['build-bbbbbbbb'],
    statuses: {},
    calls: [],
    ...state,
  };
  writeFileSync(join(folder, 'state.json'), JSON.stringify(start));
  return {
    ...{ PATH: `${folder}:/usr/bin:/bin`, STATE: join(folder, 'state.json') },
    ...{ SERVICE: 'ml-model', REGION: 'us-central1', PROJECT_ID: 'my-project' },
    ...{ COMMIT_SHA: '2222222bbbbbbb', BUILD_ID: 'bbbbbbbb-0002' },
    ...{ TRAFFIC_STEPS: '10 50 100', STEP_SECONDS: '0', MAX_ERROR_PERCENT: '1', ...env },
  };
}

/** What the script leaves of a state. */
async function move(state: Partial<State>, env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await run('bash', [SCRIPT], environment(state, env));
  const left = JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8')) as State;
  return { code, said: stdout + stderr, ...left };
}

const movesOf = ({ calls }: { calls: readonly string[] }): string[] =>
  calls.flatMap((call) => /^run services update-traffic (.*)$/.exec(call)?.[1] ?? []);

test('the traffic moves in steps, and the tag is gone at the end', async () => {
  const moved = await move({ statuses: { 10: FINE, 50: FINE, 100: [] } });
  assert.equal(moved.code, 0, moved.said);
  assert.deepEqual(movesOf(moved), [`${NEW}=10`, `${NEW}=50`, `${NEW}=100`, `${NEW}=100`]);
  assert.deepEqual([moved.traffic, moved.tags], [{ [NEW]: 100 }, []]);
  assert.match(moved.said, /has 10 % of the traffic:\n0 of 100 requests got a server error; 1 % are allowed\n/);
});

for (const share of [10, 50, 100]) {
  test(`too many errors at ${share} % give all revisions the traffic that they had, and keep the tag`, async () => {
    const before = { [OLD]: 70, 'ml-model-0000000-00000000': 30 };
    const created = { 'ml-model-0000000-00000000': '2025-01-01T00:00:00Z' };
    const all = { [OLD]: '2026-01-01T00:00:00Z', [NEW]: '2026-01-01T00:00:01Z', ...created };
    const moved = await move({ traffic: before, created: all, statuses: { [share]: BAD } });
    assert.equal(moved.code, 1);
    assert.match(moved.said, /2 of 102 requests got a server error/);
    assert.deepEqual([moved.traffic, moved.tags], [before, ['build-bbbbbbbb']]);
  });
}

test('as many errors as are allowed, and errors of callers, do not stop a revision', async () => {
  const moved = await move(
    { statuses: { 10: [...FINE.slice(1), 500], 50: FINE.map(() => 429), 100: BAD } },
    { MAX_ERROR_PERCENT: '2' },
  );
  assert.equal(moved.code, 0, moved.said);
});

test('a first deployment, which serves already, gets its traffic by name, and no steps', async () => {
  const moved = await move({ traffic: { [NEW]: 100 } });
  assert.equal(moved.code, 0, moved.said);
  assert.deepEqual([movesOf(moved), moved.tags], [[`${NEW}=100`], []]);
});

test('a newer revision that serves keeps its traffic', async () => {
  const moved = await move({ traffic: { [OLD]: 90, [NEWER]: 10 } });
  assert.equal(moved.code, 1);
  assert.match(
    moved.said,
    /ml-model-2222222-bbbbbbbb gets no more traffic: ml-model-3333333-cccccccc, which serves, is newer/,
  );
  assert.deepEqual([movesOf(moved), moved.tags], [[], ['build-bbbbbbbb']]);
});

for (const statuses of [FINE, BAD]) {
  test(`a newer revision that serves since a step ${statuses === BAD ? 'with errors ' : ''}keeps its traffic`, async () => {
    const moved = await move({ statuses: { 10: statuses }, meanwhile: { [NEWER]: 100 } });
    assert.equal(moved.code, 1);
    assert.match(moved.said, /which serves, is newer/);
    assert.deepEqual(movesOf(moved), [`${NEW}=10`]);
    assert.deepEqual(moved.traffic, { [NEWER]: 100 });
  });
}

for (const [command, from, moves] of [
  ['run revisions describe', 1, []],
  ['run services describe', 1, []],
  ['logging read', 2, [`${NEW}=10`, `${NEW}=50`, `${OLD}=100`]],
  ['run revisions describe', 3, [`${NEW}=10`, `${OLD}=100`]],
  ['run services describe', 2, [`${NEW}=10`, `${OLD}=100`]],
] as const) {
  test(`if ${command} fails from call ${from} on, the old revision has its traffic back`, async () => {
    const moved = await move({ fails: { command, from } });
    assert.equal(moved.code, 1);
    assert.deepEqual(movesOf(moved), moves);
    assert.deepEqual(moved.traffic, { [OLD]: 100 });
  });
}

test('a build that is cancelled during a step gives the traffic back', async () => {
  const env = environment({}, { STEP_SECONDS: '60' });
  const child = spawn('bash', [SCRIPT], { env, stdio: 'ignore' });
  const waits = spawn('bash', ['-c', `until pgrep -P ${child.pid} -x sleep; do sleep 0.05; done`], { timeout: 30_000 });
  await once(waits, 'exit');
  child.kill('SIGTERM');
  await once(child, 'exit');
  const state = JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8')) as State;
  assert.deepEqual(movesOf(state), [`${NEW}=10`, `${OLD}=100`]);
});

for (const steps of ['10 50', '0 100', '10,50,100', '100 100', '10 ten 100']) {
  test(`steps that are no percents, or do not end with 100, are refused before anything moves: ${steps}`, async () => {
    const moved = await move({}, { TRAFFIC_STEPS: steps });
    assert.equal(moved.code, 1);
    assert.match(moved.said, /TRAFFIC_STEPS: expected percents that end with 100, such as "10 50 100", got/);
    assert.deepEqual(moved.calls, []);
  });
}
