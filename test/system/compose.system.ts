import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Answer, call, type Json, metric, predict } from '../helpers/calls.ts';
import { freePort } from '../helpers/hosts.ts';
import { buildImage, docker, ROOT } from '../helpers/image.ts';
import { padded } from '../helpers/models.ts';
import { until } from '../helpers/until.ts';

const PROJECT = 'ml-model-compose-test';
const READY_MS = 60_000;
const COMPOSE = findCompose();

/** Compose as a plugin, or the program of old. */
function findCompose(): string[] {
  try {
    execFileSync('docker', ['compose', 'version'], { stdio: 'ignore' });
    return ['docker', 'compose'];
  } catch {
    return ['docker-compose'];
  }
}

const folder = mkdtempSync(join(tmpdir(), 'compose-'));

/** A bucket beside the services, with one model in it: the tests' storage server in a container of its own. */
const STORAGE = `
import { readFileSync } from 'node:fs';
import { startStorage } from '/repo/test/helpers/storage-server.ts';
process.on('SIGTERM', () => process.exit());
const storage = await startStorage({ port: 9000, address: '0.0.0.0' });
storage.put('models', 'padded/model.onnx', readFileSync('/models/model.onnx'));
`;
const OVERRIDE = {
  services: {
    'ml-model': { image: 'onnx-cloud-run-test:latest', environment: { STORAGE_EMULATOR_HOST: 'http://storage:9000' } },
    storage: {
      image: 'node:24-trixie-slim',
      command: ['node', '--input-type=module', '-e', STORAGE],
      volumes: [`${ROOT}:/repo:ro`, `${folder}:/models:ro`],
      networks: ['cache'],
    },
  },
};

const PORT = String(await freePort());
const host = { url: `http://127.0.0.1:${PORT}` };

function compose(...args: string[]): string {
  const [program, ...first] = COMPOSE;
  const files = ['-p', PROJECT, '-f', join(ROOT, 'docker-compose.ml.yml'), '-f', join(folder, 'override.json')];
  const env = { ...process.env, PORT, MODEL_URI: 'gs://models/padded' };
  return execFileSync(program!, [...first, ...files, ...args], {
    encoding: 'utf8',
    stdio: 'pipe',
    env,
    timeout: 120_000,
  });
}

/** What Docker tells of a container. */
function inspect(id: string): Json {
  return JSON.parse(docker('inspect', id))[0];
}

function untilReady(): Promise<Answer> {
  const ready = async (): Promise<Answer | undefined> => {
    const answer = await call(host, '/ready').catch(() => undefined);
    return answer?.status === 200 ? answer : undefined;
  };
  return until(ready, 'the model to be ready', READY_MS).catch((error: Error) => {
    throw new Error(`${error.message}\n${compose('logs', '--no-color')}`);
  });
}

describe('docker-compose.ml.yml', () => {
  before(() => {
    writeFileSync(join(folder, 'model.onnx'), padded());
    writeFileSync(join(folder, 'override.json'), JSON.stringify(OVERRIDE));
    buildImage();
  });
  after(() => {
    compose('down', '--volumes', '--timeout', '10');
    rmSync(folder, { recursive: true });
  });

  test('up gives a server that predicts with a model of a bucket, and the second start has it from Redis', async () => {
    compose('up', '-d', '--no-build');
    await untilReady();
    assert.deepEqual((await predict(host, [1, 2])).json().prediction, [2, 3]);
    assert.equal(await metric(host, 'model_cache_events_total', { event: 'hit' }), 0);
    await until(
      async () => (await metric(host, 'model_cache_events_total', { event: 'stored' })) > 0,
      'the model in Redis',
    );

    compose('up', '-d', '--no-build', '--no-deps', '--force-recreate', 'ml-model');
    await untilReady();
    assert.deepEqual((await predict(host, [1, 2])).json().prediction, [2, 3]);
    assert.ok((await metric(host, 'model_cache_events_total', { event: 'hit' })) > 0);
  });

  test('both services become healthy, run hardened, and Redis is reached by the server alone', async () => {
    const id = (service: string): string => compose('ps', '-q', service).trim();
    for (const service of ['ml-model', 'redis']) {
      await until(() => inspect(id(service)).State.Health.Status === 'healthy', `${service} to be healthy`, READY_MS);
      const { HostConfig, Config } = inspect(id(service));
      assert.equal(HostConfig.ReadonlyRootfs, true);
      assert.deepEqual([HostConfig.CapDrop, HostConfig.Privileged], [['ALL'], false]);
      assert.match(HostConfig.SecurityOpt.join(), /no-new-privileges/);
      assert.ok(HostConfig.Memory > 0 && HostConfig.PidsLimit > 0);
      assert.match(Config.User, /^[1-9]\d*:[1-9]\d*$/);
      const ports = Object.values(HostConfig.PortBindings ?? {}).flat() as { HostIp: string }[];
      assert.ok(ports.every(({ HostIp }) => HostIp === '127.0.0.1'));
    }
    assert.equal(compose('port', 'ml-model', '8080').trim(), `127.0.0.1:${PORT}`);
    const { Ports, Networks } = inspect(id('redis')).NetworkSettings;
    const cache = `${PROJECT}_cache`;
    assert.deepEqual(Object.keys(Networks), [cache]);
    assert.equal(JSON.parse(docker('network', 'inspect', cache))[0].Internal, true);
    assert.deepEqual(Object.values(Ports).flat().filter(Boolean), []);
  });
});
