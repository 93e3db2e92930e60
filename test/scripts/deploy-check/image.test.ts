import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createApp } from '../../../functions/app.ts';
import { readConfig } from '../../../functions/config/settings.ts';
import { isForOperators, ROUTES, readImage } from '../../../scripts/deploy-check/image.ts';
import { showFinding } from '../../../scripts/deploy-check/yaml.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { DOCKERFILE, IMAGE, makeProject } from './fixture.ts';

function read(t: TestContext, dockerfile: string): { lines: string[]; image: typeof IMAGE } {
  const { image, findings } = readImage(makeProject(t, { 'Dockerfile.ml': dockerfile }));
  return { image, lines: findings.map(showFinding) };
}

test('port, user and folder are those of the last stage, and stages without a CMD are no images', (t) => {
  const { image, lines } = read(t, DOCKERFILE);
  assert.deepEqual({ ...image, stages: [] }, { ...IMAGE, stages: [] });
  assert.deepEqual(
    image.stages.map(({ name, line }) => [name, line]),
    [['cpu', 4]],
  );
  assert.deepEqual(lines, []);
});

test('variables are read over continued lines, and values in quotes keep their spaces', (t) => {
  const env = 'ENV A="two words" \\\n  B=3\nENV C=4\n';
  const { image } = read(t, `FROM a \\\n  AS build\n${DOCKERFILE.replace('EXPOSE', `${env}EXPOSE`)}`);
  const [stage] = image.stages;
  assert.deepEqual(stage!.env.slice(2), [
    ['A', 'two words'],
    ['B', '3'],
    ['C', '4'],
  ]);
  assert.equal(stage!.line, 6);
});

const BAD: [title: string, from: string, to: string, line: RegExp][] = [
  [
    'a PORT other than the exposed',
    'PORT=8080',
    'PORT=80',
    /^Dockerfile\.ml:4: stage cpu: PORT=80, but it exposes 8080/,
  ],
  ['no port', 'EXPOSE 8080', '', /stage cpu: exposes no port, expected one port/],
  ['a user by name', 'USER 65532:65532', 'USER nonroot', /runs as "nonroot", expected numbers/],
  ['root', 'USER 65532:65532', 'USER 0:65532', /runs as "0:65532"/],
  [
    'another folder in one of the images',
    'FROM gcr.io',
    'FROM a AS gpu\nUSER 65532:65532\nEXPOSE 8080\nCMD ["a"]\nFROM gcr.io',
    /stage gpu: works in \/, the last image in \/app/,
  ],
  [
    'no user in one of the images',
    'FROM gcr.io',
    'FROM a AS gpu\nWORKDIR /app\nEXPOSE 8080\nCMD ["a"]\nFROM gcr.io',
    /stage gpu: runs as ""/,
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

test('the routes are those of the server, and those for operators are the ones that the admin port has alone', async (t) => {
  const token = join(makeProject(t, { token: 'secret' }), 'token');
  const app = createApp(readConfig({ MODEL_URI: 'models', ADMIN_TOKEN_FILE: token }), recordTelemetry().logger);
  t.after(() => app.close());
  const named = (routes: typeof app.routes): string[] => routes.map(({ method, path }) => `${method} ${path}`).sort();
  assert.deepEqual([...ROUTES].sort(), named(app.routes));
  assert.deepEqual(
    ROUTES.filter(isForOperators).sort(),
    named(app.routes.filter(({ admin, internal }) => admin === true || internal === true)),
  );
});
