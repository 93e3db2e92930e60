import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDockerfile } from '../../../scripts/deploy-check/dockerfile.ts';
import { DOCKERFILE } from './fixture.ts';

test('stages on which others are based are no images', () => {
  const stages = readDockerfile(DOCKERFILE);
  assert.deepEqual(
    stages.map(({ name, final }) => [name, final]),
    [
      ['build', false],
      ['cpu', true],
    ],
  );
  const { user, exposes, workdir, env, line } = stages[1]!;
  assert.deepEqual(
    { user, exposes, workdir, line },
    { user: '65532:65532', exposes: [8080], workdir: '/app', line: 4 },
  );
  assert.deepEqual(
    [...env],
    [
      ['NODE_ENV', { value: 'production', line: 7 }],
      ['PORT', { value: '8080', line: 7 }],
    ],
  );
});

test('a stage has what the stage it starts from has', () => {
  const [, child] = readDockerfile('FROM a AS base\nENV A=1\nUSER 1:1\nEXPOSE 80/tcp\nFROM base\nENV B=2\n');
  assert.deepEqual([...child!.env.keys()], ['A', 'B']);
  assert.deepEqual([child!.name, child!.user, child!.exposes], ['1', '1:1', [80]]);
});

test('instructions go on over backslashes and comments, and values keep their spaces in quotes', () => {
  const [stage] = readDockerfile(
    '# syntax\nFROM --platform=linux/amd64 a\nenv A="two words" \\\n# why\n  B=3\nENV C the rest\n',
  );
  assert.deepEqual(
    [...stage!.env].map(([name, { value, line }]) => [name, value, line]),
    [
      ['A', 'two words', 3],
      ['B', '3', 3],
      ['C', 'the rest', 6],
    ],
  );
});
