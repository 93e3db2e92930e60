import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkEnvironment,
  checkImageEnvironment,
  READ_BY_OTHERS,
} from '../../../../scripts/deploy-check/rules/environment.ts';
import { showFinding } from '../../../../scripts/deploy-check/yaml.ts';
import { check, cloudRun, compose, deployment, IMAGE } from '../fixture.ts';

const FROM_MAP = deployment('envFrom: [{ configMapRef: { name: settings } }]');
const map = (data: string): string =>
  `${FROM_MAP}---\n{ apiVersion: v1, kind: ConfigMap, metadata: { name: settings }, data: ${data} }`;

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
];

for (const [title, yaml, line] of BAD) {
  test(`the environment is refused for ${title}`, () => {
    const found = check(checkEnvironment, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}

test("the image's own variables are settings, too", () => {
  const env = [
    ['PORT', '8080'],
    ['MODEL', 'iris'],
    ['LOG_LEVEL', 'loud'],
    ['MODEL_URI', '$MODELS'],
  ] as const;
  assert.deepEqual(checkImageEnvironment({ ...IMAGE, stages: [{ ...IMAGE.stages[0]!, env }] }).map(showFinding), [
    'Dockerfile.ml:1: stage cpu: ENV: MODEL is no setting of functions/config/settings.ts: nothing reads it',
    'Dockerfile.ml:1: stage cpu: ENV: LOG_LEVEL="loud" is not usable: it takes debug, info, warning or error',
  ]);
});

test('every variable that is no setting has a reader', () => {
  for (const [name, reader] of Object.entries(READ_BY_OTHERS)) assert.ok(reader.length > 10, name);
});
