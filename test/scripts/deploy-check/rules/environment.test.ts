import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDockerfile } from '../../../../scripts/deploy-check/dockerfile.ts';
import { readEnvFile } from '../../../../scripts/deploy-check/env-file.ts';
import { showFinding } from '../../../../scripts/deploy-check/finding.ts';
import {
  checkEnvironment,
  checkImageEnvironment,
  READ_BY_OTHERS,
} from '../../../../scripts/deploy-check/rules/environment.ts';
import { createScope } from '../../../../scripts/deploy-check/scope.ts';
import { check, cloudRun, compose, deployment, documentsOf, IMAGE } from '../fixture.ts';

const FROM_MAP = deployment('envFrom: [{ configMapRef: { name: settings } }]');
const map = (data: string): string =>
  `${FROM_MAP}---\n{ apiVersion: v1, kind: ConfigMap, metadata: { name: settings }, data: ${data} }`;
const step = (args: string): string => `steps: [{ name: gcloud, args: [${args}] }]`;

const GOOD: [title: string, yaml: string][] = [
  [
    'settings with values that they take',
    deployment("env: [{ name: MODEL_URI, value: 'gs://BUCKET/m' }, { name: PORT, value: '8080' }]"),
  ],
  ['an empty value, which is an unset one', deployment("env: [{ name: MAX_BATCH_SIZE, value: '' }]")],
  [
    'a setting from a secret',
    deployment('env: [{ name: REDIS_URL, valueFrom: { secretKeyRef: { name: a, key: b } } }]'),
  ],
  ['what Node and onnxruntime read', deployment("env: [{ name: ORT_DISABLE_TELEMETRY, value: '1' }]")],
  ['a setting from a ConfigMap', map('{ LOG_LEVEL: debug }')],
  ['a value that is another variable', deployment("env: [{ name: MAX_BATCH_SIZE, value: '$(ROWS)' }]")],
  [
    'variables of a container that runs another image',
    deployment('env: [{ name: TZ, value: UTC }]').replace('ml-model:1', 'redis:8'),
  ],
  ['defaults of docker-compose', compose(`environment: { PORT: '\${PORT:-8080}', MODEL_URI: '\${MODEL_URI}' }`)],
  ['a list of docker-compose', compose('environment: [LOG_LEVEL=info, REDIS_URL]')],
  ["Cloud Build's flags", step('--set-env-vars, "MODEL_URI=gs://b/m,MAX_BATCH_SIZE=$_ROWS"')],
];

for (const [title, yaml] of GOOD) {
  test(`the environment may have ${title}`, () => assert.deepEqual(check(checkEnvironment, yaml), []));
}

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a key that is no setting',
    deployment('env: [{ name: MODEL_URL, value: a }]'),
    /^a\.yaml:9: Deployment\/server .*env\[0\]: MODEL_URL is no setting/,
  ],
  [
    'a value that the setting refuses',
    deployment('env: [{ name: LOG_LEVEL, value: loud }]'),
    /LOG_LEVEL="loud" .* takes debug, info/,
  ],
  ['a key of a ConfigMap', map('{ LOG_LEVLE: debug }'), /ConfigMap\/settings data\.LOG_LEVLE: LOG_LEVLE is no setting/],
  ['a number that is none', map('{ MAX_BATCH_SIZE: many }'), /MAX_BATCH_SIZE="many"/],
  ['what Cloud Run sets itself', cloudRun("env: [{ name: PORT, value: '8080' }]"), /PORT is set by Cloud Run/],
  [
    'a key of docker-compose',
    compose("environment: { MODEL_PATH: '/m' }"),
    /services\.server\.environment\.MODEL_PATH: MODEL_PATH is no/,
  ],
  ['a default of docker-compose', compose(`environment: { PORT: '\${PORT:-http}' }`), /PORT="http"/],
  ['a list of docker-compose', compose('environment: [LOG_LEVEL=loud]'), /environment\[0\]: LOG_LEVEL="loud"/],
  [
    'a file of docker-compose, which nothing here reads',
    compose('env_file: .env'),
    /env_file: its variables cannot be checked/,
  ],
  [
    'a flag of Cloud Build, in two arguments',
    step('--set-env-vars, "MODEL_URI=a,MODEL=b"'),
    /args\[1\]: MODEL is no setting/,
  ],
  [
    'a flag of Cloud Build, in one',
    step('"--update-env-vars=^;^PORT=80;LOG_LEVEL=loud"'),
    /args\[0\]: LOG_LEVEL="loud"/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`the environment is refused for ${title}`, () => {
    const found = check(checkEnvironment, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}

test('a variable in a file of kustomize is found at its line of the file', () => {
  const kustomization = 'configMapGenerator: [{ name: settings, envs: [config.env] }]';
  const documents = documentsOf(`${FROM_MAP}---\n${kustomization}`);
  const scope = createScope(
    [...documents, readEnvFile('config.env', '# why\nLOG_LEVEL=info\nLOG=all\n')],
    IMAGE,
    'files',
  );
  assert.deepEqual(checkEnvironment(scope).map(showFinding), [
    'config.env:3: variables.LOG: LOG is no setting of functions/config/settings.ts: nothing reads it',
  ]);
});

test('a patch, which names no image, belongs to the container that runs our image', () => {
  const patch =
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: server }\nspec: { template: { spec: { containers: [{ name: server, env: [{ name: X }] }] } } }';
  assert.match(
    check(checkEnvironment, `${deployment()}---\n${patch}`, 'files').join('\n'),
    /^a\.yaml:\d+: .*X is no setting/,
  );
});

test("the image's own variables are settings, too", () => {
  const stages = readDockerfile('FROM a\nENV PORT=8080 \\\n  MODEL=iris\nENV LOG_LEVEL loud\n');
  assert.deepEqual(checkImageEnvironment({ ...IMAGE, stages }).map(showFinding), [
    'Dockerfile.ml:2: stage 0: ENV: MODEL is no setting of functions/config/settings.ts: nothing reads it',
    'Dockerfile.ml:4: stage 0: ENV: LOG_LEVEL="loud" is not usable: it takes debug, info, warning or error',
  ]);
});

test('every variable that is no setting says who reads it', () => {
  for (const [name, reader] of Object.entries(READ_BY_OTHERS)) assert.ok(reader.length > 10, name);
});
