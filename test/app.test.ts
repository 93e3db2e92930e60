import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type App, createApp } from '../functions/app.ts';
import { readConfig } from '../functions/config/settings.ts';
import { addConstant, externalWeights, writeModel } from './helpers/models.ts';
import { serve } from './helpers/serve.ts';
import type { Fault } from './helpers/storage-faults.ts';
import { type StorageServer, startStorage } from './helpers/storage-server.ts';
import { type RecordingTelemetry, recordTelemetry } from './helpers/telemetry.ts';
import { until } from './helpers/until.ts';

const TOKEN = 'token';
/** What Google says of a service account that lacks a role. */
const ACCOUNT = 'hushed@hushed.iam.gserviceaccount.com does not have storage.objects.list access to hushed-bucket';

interface Rig extends Pick<RecordingTelemetry, 'lines'> {
  readonly app: App;
  readonly url: string;
}

type Env = Readonly<Record<string, string>>;
type SetUp = (folder: string, storage: () => Promise<StorageServer>) => Env | Promise<Env>;

async function start(t: TestContext, setUp: SetUp): Promise<Rig> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'hushed-')));
  writeFileSync(join(folder, 'token'), TOKEN);
  mkdirSync(join(folder, 'models'));
  async function storage(): Promise<StorageServer> {
    const server = await startStorage();
    process.env.STORAGE_EMULATOR_HOST = server.url;
    t.after(() => server.close());
    return server;
  }
  const env = await setUp(join(folder, 'models'), storage);
  const { logger, lines } = recordTelemetry();
  const app = createApp(
    readConfig({ PAGE: 'off', INFERENCE_PROCESSES: '1', ADMIN_TOKEN_FILE: join(folder, 'token'), ...env }),
    logger,
  );
  const { url } = await serve(t, app.handler);
  t.after(async () => {
    await app.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await app.model.whenLive().catch(() => {});
  return { app, url, lines };
}

/** Asks every route, and gives what each answered. */
async function askAll({ app, url }: Rig): Promise<{ route: string; status: number; text: string }[]> {
  const answers = [];
  for (const { method, path } of app.routes) {
    const at = path.replace('{name}', 'iris').replace('{version}', '1');
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const body = method === 'POST' ? '{"features":[1,2]}' : null;
    const response = await fetch(url + at, { method, headers, body });
    answers.push({ route: `${method} ${at}`, status: response.status, text: await response.text() });
  }
  return answers;
}

const inFolder =
  (name: string, bytes: Uint8Array, golden?: object): SetUp =>
  (folder) => ({ MODEL_URI: writeModel(folder, name, bytes, undefined, golden) });

function fromBucket(fault: Fault): SetUp {
  return async (_, storage) => {
    const server = await storage();
    server.put('hushed-bucket', 'iris/model.onnx', addConstant(1));
    server.inject({ times: 100, ...fault });
    return { MODEL_URI: 'gs://hushed-bucket/iris' };
  };
}

const GOLDEN = { rows: [{ features: [0, 0], outputs: { y: [5, 5] } }] };
const FAILING: [title: string, setUp: SetUp, logged: RegExp][] = [
  ['a folder that is not there', (folder) => ({ MODEL_URI: join(folder, 'none') }), /hushed-.*no such file or folder/],
  ['a file that is no ONNX', inFolder('iris', Buffer.from('<html>')), /hushed-.*expected an ONNX model/],
  ['a golden row that differs', inFolder('iris', addConstant(1), GOLDEN), /golden\.json: rows\[0\]/],
  [
    'weights that are missing',
    inFolder('iris', externalWeights('hushed').model),
    /External|keeps weights|hushed is missing/,
  ],
  [
    'weights outside of the folder',
    inFolder('iris', externalWeights('../hushed').model),
    /hushed-.*outside (of )?the model's folder/,
  ],
  [
    'several models and no MODEL_NAME',
    (folder) => {
      writeModel(folder, 'iris', addConstant(1));
      writeModel(folder, 'rose', addConstant(1));
      return { MODEL_URI: folder };
    },
    /hushed-.*set MODEL_NAME/,
  ],
  [
    'another SHA-256',
    (folder) => ({ MODEL_URI: writeModel(folder, 'iris', addConstant(1)), MODEL_SHA256: '0'.repeat(64) }),
    /hushed-.*MODEL_SHA256 is/,
  ],
  [
    'a bucket that may not be listed',
    fromBucket({ kind: 'list', type: 'status', status: 403, message: ACCOUNT }),
    /hushed@hushed\.iam.*roles\/storage\.objectViewer on gs:\/\/hushed-bucket/,
  ],
  [
    'an object that may not be read',
    fromBucket({ kind: 'media', type: 'status', status: 403, message: ACCOUNT }),
    /hushed@hushed\.iam.*storage\.objects\.get/,
  ],
  ['a bucket that is not there', fromBucket({ type: 'status', status: 404 }), /there is no bucket hushed-bucket/],
];

for (const [title, setUp, logged] of FAILING) {
  test(`${title}: no response shows the address of models and the account that reads them; the log does`, async (t) => {
    const rig = await start(t, setUp);
    const answers = await askAll(rig);
    for (const { route, text } of answers) assert.doesNotMatch(text, /hushed|gserviceaccount|\/tmp\//, route);
    const ready = answers.find(({ route }) => route === 'GET /ready')!;
    assert.equal(ready.status, 503);
    assert.match(ready.text, /the model is not ready: it failed (when|while) .*: the server's log says why/);
    assert.ok(
      rig.lines.some(({ message }) => logged.test(message)),
      JSON.stringify(rig.lines.map(({ message }) => message)),
    );
  });
}

test('a newer version that is refused: no response shows its address', async (t) => {
  let folder = '';
  const rig = await start(t, (models) => {
    folder = models;
    writeModel(models, 'iris/1', addConstant(1));
    return { MODEL_URI: models, MODEL_NAME: 'iris' };
  });
  writeModel(folder, 'iris/2', Buffer.from('<html>'));
  // The first round loads it.
  for (let round = 0; round < 2; round++) {
    for (const { route, text } of await askAll(rig)) assert.doesNotMatch(text, /hushed|\/tmp\//, route);
  }
  assert.match(rig.app.model.status().refused!, /the server's log says why/);
  assert.ok(rig.lines.some(({ message }) => /hushed-.*expected an ONNX model/.test(message)));
});

test('engines that do not restart: no response shows the file that they load', async (t) => {
  let file = '';
  const rig = await start(t, (models) => {
    file = join(writeModel(models, 'iris', addConstant(1)), 'model.onnx');
    return { MODEL_URI: models };
  });
  renameSync(file, `${file}.away`);
  process.kill(rig.app.model.live()!.engines()[0]!.pid!, 'SIGKILL');
  await until(() => rig.app.model.status().state === 'degraded', 'the loop to be seen');
  for (const { route, text } of await askAll(rig)) assert.doesNotMatch(text, /hushed|\/tmp\//, route);
});
