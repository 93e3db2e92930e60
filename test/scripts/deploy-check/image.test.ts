import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { showFinding } from '../../../scripts/deploy-check/finding.ts';
import { readImage } from '../../../scripts/deploy-check/image.ts';
import { DOCKERFILE, IMAGE, makeProject } from './fixture.ts';

function read(t: TestContext, dockerfile: string): { lines: string[]; image: typeof IMAGE } {
  const { image, findings } = readImage(makeProject(t, { 'Dockerfile.ml': dockerfile }));
  return { image, lines: findings.map(showFinding) };
}

test('port, user and folder are those of the last image', (t) => {
  const { image, lines } = read(t, DOCKERFILE);
  assert.deepEqual({ ...image, stages: [], routes: {} }, { ...IMAGE, stages: [], routes: {} });
  assert.deepEqual(lines, []);
});

const BAD: [title: string, from: string, to: string, line: RegExp][] = [
  ['a PORT beside the exposed', 'PORT=8080', 'PORT=80', /^Dockerfile\.ml:7: stage cpu: PORT=80, but it exposes 8080/],
  ['no port', 'EXPOSE 8080', '', /stage cpu: exposes no port, expected one port/],
  ['a user by name', 'USER 65532:65532', 'USER nonroot', /runs as "nonroot", expected numbers/],
  ['root', 'USER 65532:65532', 'USER 0:0', /runs as "0:0"/],
  [
    'another folder in one of the images',
    'FROM gcr.io',
    'FROM a AS gpu\nUSER 65532:65532\nEXPOSE 8080\nFROM gcr.io',
    /stage gpu: works in \/, the last image in \/app/,
  ],
];

for (const [title, from, to, line] of BAD) {
  test(`the Dockerfile is refused for ${title}`, (t) => {
    const { lines } = read(t, DOCKERFILE.replace(from, to));
    assert.ok(
      lines.some((one) => line.test(one)),
      lines.join('\n'),
    );
  });
}
