import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMounts } from '../../../../scripts/deploy-check/rules/mounts.ts';
import { check, cloudRun, compose, deployment } from '../fixture.ts';

const MOUNT = (path: string): string => `volumeMounts: [{ name: v, mountPath: ${path} }]`;
const VOLUME = 'volumes: [{ name: v, emptyDir: {} }]';
const READ_ONLY = 'securityContext: { readOnlyRootFilesystem: true }';
const URI = (uri: string): string => `env: [{ name: MODEL_URI, value: '${uri}' }]`;

const GOOD: [title: string, yaml: string][] = [
  ['a read-only root with a volume at /tmp', deployment(`${READ_ONLY}, ${MOUNT('/tmp')}`, VOLUME)],
  ["models of the image's own folder", deployment(URI('models'))],
  ['models of a mounted folder', deployment(`${URI('/models/fraud')}, ${MOUNT('/models')}`, VOLUME)],
  ['models of a bucket', cloudRun(URI('gs://b/m'))],
  ['models over those of the image', deployment(MOUNT('/app/models'), VOLUME)],
  ['a read-only root of docker-compose', compose("read_only: true, tmpfs: [/tmp], volumes: ['./m:/models:ro']")],
];

for (const [title, yaml] of GOOD) test(`mounts may be ${title}`, () => assert.deepEqual(check(checkMounts, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a read-only root without a folder to write to',
    deployment(READ_ONLY),
    /readOnlyRootFilesystem: the root is read-only and nothing is mounted at \/tmp/,
  ],
  [
    "a volume over the server's programs",
    deployment(MOUNT('/app'), VOLUME),
    /mounted at \/app, over what the image runs/,
  ],
  [
    'models where nothing is mounted',
    deployment(`${URI('/models')}, ${MOUNT('/model')}`, VOLUME),
    /env\[0\]: MODEL_URI=\/models, but no volume is mounted there/,
  ],
  ['models as a URL where nothing is mounted', cloudRun(URI('file:///models')), /MODEL_URI=file:\/\/\/models/],
  ['a read-only root of docker-compose', compose('read_only: true'), /read_only: the root is read-only and \/tmp/],
  ['a volume of docker-compose', compose("volumes: ['.:/app']"), /volumes\[0\]: mounted at \/app/],
];

for (const [title, yaml, line] of BAD) {
  test(`mounts are refused for ${title}`, () => {
    const found = check(checkMounts, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
