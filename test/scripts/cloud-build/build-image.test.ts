import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { run } from '../../system/program.ts';

const SCRIPT = join(import.meta.dirname, '../../../scripts/cloud-build/build-image.sh');
const IMAGE = 'us-central1-docker.pkg.dev/my-project/ml/ml-model';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'build-image-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The builds that it asks a docker client for: each with the value of DOCKER_BUILDKIT before it. */
async function builds(client: { version: string; buildx: boolean }, env: Record<string, string> = {}) {
  const program = `#!/bin/bash
case "$1" in
  buildx) exit ${client.buildx ? 0 : 1} ;;
  version) echo ${client.version} ;;
  *) echo "$DOCKER_BUILDKIT $*" >>"$RECORD" ;;
esac
`;
  writeFileSync(join(folder, 'docker'), program);
  chmodSync(join(folder, 'docker'), 0o755);
  const record = join(folder, 'record');
  writeFileSync(record, '');
  const { code, stderr } = await run('bash', [SCRIPT], {
    ...{ PATH: `${folder}:/usr/bin:/bin`, RECORD: record },
    ...{ IMAGE, TARGET: 'cpu', MODELS: 'models', COMMIT_SHA: '0123456', ...env },
  });
  assert.equal(code, 0, stderr);
  return readFileSync(record, 'utf8').trimEnd().split('\n');
}

for (const client of [
  { version: '20.10.24', buildx: false },
  { version: '28.2.2', buildx: true },
]) {
  test(`docker ${client.version} ${client.buildx ? 'with' : 'without'} buildx builds with BuildKit, and the cache`, async () => {
    const [cache, image, ...more] = await builds(client);
    assert.match(cache!, /^1 build .*--target build .*--build-arg BUILDKIT_INLINE_CACHE=1 --tag \S+:cache \.$/);
    assert.match(
      image!,
      /^1 build .*--target cpu --build-arg MODELS=models .*--tag \S+:0123456 --cache-from \S+:cache \.$/,
    );
    assert.deepEqual(more, []);
  });
}

test('docker 28.2.2 without buildx builds the same image without BuildKit, and asks for no cache', async () => {
  const [image, ...more] = await builds({ version: '28.2.2', buildx: false });
  assert.match(image!, /^0 build --file Dockerfile\.ml --target cpu --build-arg MODELS=models .*--tag \S+:0123456 \.$/);
  assert.doesNotMatch(image!, /cache|TARGETARCH/i);
  assert.deepEqual(more, []);
});

test('without BuildKit the image of target gpu gets its processor as an argument, which only BuildKit sets itself', async () => {
  const [image] = await builds({ version: '28.2.2', buildx: false }, { TARGET: 'gpu' });
  assert.match(image!, /--target gpu .*--build-arg TARGETARCH=amd64 \.$/);
});

test('an empty folder of models is given on as empty', async () => {
  const [, image] = await builds({ version: '28.2.2', buildx: true }, { MODELS: '' });
  assert.match(image!, /--build-arg MODELS= --build-arg REVISION/);
});
