import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { test } from 'node:test';
import { findBreaches, type Rules } from './helpers/import-rules.ts';

const ROOT = join(import.meta.dirname, '..', 'functions');
/** The client is a package of its own. The rules see it as the room `client`. */
const CLIENT = join(import.meta.dirname, '..', 'clients/typescript/src');

const RULES: Rules = {
  order: [
    ['cli'],
    ['cli/init', 'cli/serve', 'cli/doctor', 'cli/golden', 'cli/tune', 'cli/optimize', 'cli/prune'],
    ['cli/loadtest', 'cli/loadtest/report'],
    ['cli/loadtest/requests'],
    ['cli/loadtest/generator'],
    ['cli/loadtest/http'],
    ['cli/quantize/modes'],
    ['cli/quantize/modes/dynamic', 'cli/quantize/modes/float16', 'cli/quantize/static'],
    ['cli/quantize'],
    ['cli/quantize/kernels'],
    ['cli/edited'],
    ['cli/compare'],
    ['cli/measure', 'cli/prices', 'cli/samples', 'cli/write-settings'],
    ['cli/terminal'],
    ['cli/verb.ts'],
    // Above the hosts, which read a model without decoding it.
    ['onnx/edit'],
    ['onnx/proto'],
    ['index.ts', 'start.ts', 'server.ts', 'container.ts', 'health-check.ts'],
    ['bootstrap.ts'],
    ['app.ts'],
    ['config'],
    ['routes/body-thread.ts'],
    ['routes/openapi', 'routes/pages'],
    ['routes/vertex'],
    ['routes/tensorflow-serving', 'routes/text-embeddings'],
    ['routes/openai'],
    ['routes/open-inference', 'routes/open-inference/triton'],
    ['routes/native'],
    ['routes/instances', 'routes/texts'],
    ['routes/status'],
    ['routes'],
    ['http', 'http/connection'],
    ['http/body'],
    ['access'],
    ['model/repository'],
    ['model/serving'],
    ['model/compiled'],
    ['model/fetch'],
    ['model/signature'],
    ['model/folder'],
    ['model/folder/export'],
    ['model'],
    ['model/sources/gcs', 'model/sources/redis'],
    ['model/sources'],
    ['preprocess'],
    ['preprocess/process'],
    ['engine'],
    ['engine/process', 'engine/prepared'],
    // An engine process reads the graph of its model, so that the serving one does not: this lies below it.
    ['batching'],
    ['batching/rules'],
    ['batching/values'],
    ['text'],
    ['pictures'],
    ['tensor'],
    ['tensor/json'],
    ['onnx'],
    ['telemetry/metrics'],
    ['telemetry/log'],
    ['telemetry'],
    ['errors.ts', 'backoff.ts', 'shorten.ts', 'transform.ts'],
  ],
  alone: ['client', 'page'],
  packages: {
    '@bufbuild/protobuf': [
      'onnx/edit/encode.ts',
      'onnx/edit/tensor-lists.ts',
      'onnx/proto/attribute.ts',
      'onnx/proto/build.ts',
      'onnx/proto/initializer.ts',
      'onnx/proto/onnx_pb.ts',
      'onnx/proto/read.ts',
      'onnx/proto/write.ts',
    ],
    'onnxruntime-node': ['engine/process/runtime.ts'],
    '@fastify/busboy': ['routes/native/form-file.ts'],
    '@anush008/tokenizers': ['text/template.ts', 'text/tokenizer.ts'],
    '@google-cloud/functions-framework': ['index.ts'],
    '@google-cloud/logging-winston': ['telemetry/log/cloud-output.ts'],
    '@google-cloud/storage': ['model/sources/gcs/gcs.ts'],
    '@node-rs/crc32': ['model/sources/crc32c.ts'],
    '@redis/client': ['model/sources/redis/connection.ts'],
    commander: [
      'cli/doctor.ts',
      'cli/edited/share.ts',
      'cli/golden.ts',
      'cli/init.ts',
      'cli/loadtest.ts',
      'cli/loadtest/options.ts',
      'cli/optimize.ts',
      'cli/program.ts',
      'cli/quantize.ts',
      'cli/serve.ts',
      'cli/terminal/reporting.ts',
      'cli/tune.ts',
      'cli/verb.ts',
    ],
    papaparse: ['cli/samples/csv.ts'],
    jose: ['access/issuer-keys.ts', 'access/jwt.ts'],
    'log-update': ['cli/terminal/progress.ts'],
    sharp: ['pictures/decode.ts'],
    winston: ['telemetry/log/winston-output.ts'],
    yaml: ['cli/write-settings/plan-settings.ts', 'cli/write-settings/yaml-file.ts'],
    zod: [
      'access/token-file.ts',
      'config/auth.ts',
      'config/schema.ts',
      'cli/prices/prices.ts',
      'model/folder/export/input-schema.ts',
      'model/folder/manifest.ts',
      'pictures/settings.ts',
      'routes/native/batch-predict.ts',
      'routes/native/prediction.ts',
      'routes/openapi/document.ts',
      'text/settings.ts',
    ],
  },
  env: {
    'config/settings.ts': '',
    // Google's client libraries read this variable, too.
    'cli/golden/identity-token.ts': '.GCE_METADATA_HOST',
    // glibc reads this whenever it makes a locale.
    'engine/process/locale.ts': '',
    'engine/process/spawn.ts': '),',
    // Node's agent reads the names of proxies in what it is given.
    'model/sources/gcs/json-api.ts': ');',
    // Text of a sample that the page shows.
    'page/code/samples.ts': ".TOKEN';",
    // onnxruntime reads this one variable itself, from the environment, when it loads.
    'engine/process/worker.ts': ".ORT_DISABLE_TELEMETRY = '1';",
    'cli/optimize/optimizer.ts': ".ORT_DISABLE_TELEMETRY = '1';",
    // The tokenizers read this one themselves, before their first run.
    'preprocess/process/text-worker.ts': ".RAYON_NUM_THREADS = '1';",
  },
  outside: {
    'cli/prices/prices.ts: cli/prices/prices.json': 'data, which the build puts into the bundle',
    'routes/pages/assets.ts: ../scripts/browser-assets.ts':
      'run from the sources, the pages are built first, as the build does',
  },
  maxFunctionLines: 100,
  maxFolderFiles: 15,
};

test('the sources keep the rules of the house', () => {
  const read = (root: string, room = ''): [string, string][] =>
    globSync('**/*.ts', { cwd: root }).map((path) => [
      room + path.split(sep).join('/'),
      readFileSync(join(root, path), 'utf8'),
    ]);
  const sources = new Map([...read(ROOT), ...read(CLIENT, 'client/')]);
  for (const path of ['engine/process/session.ts', 'server.ts', 'client/client.ts']) assert.ok(sources.has(path), path);
  assert.deepEqual(findBreaches(sources, RULES), []);
});

test('every package and every exception in the rules is still used where they say', () => {
  for (const [name, files] of Object.entries(RULES.packages)) {
    for (const file of files) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      assert.ok(new RegExp(`(from |import\\()['"]${name}[/'"]`).test(text), `${file} no longer imports ${name}`);
    }
  }
  assert.match(
    readFileSync(join(ROOT, 'engine/process/worker.ts'), 'utf8'),
    /process\.env\.ORT_DISABLE_TELEMETRY = '1';/,
  );
});

const SOUND = {
  'server.ts': "import { prespawn } from './engine/process/spawn.ts';\nawait import('./app.ts');\n",
  'app.ts':
    "import { readConfig } from './config/settings.ts';\nimport { predict } from './routes/native/predict.ts';\n",
  'config/settings.ts': "import { integer } from './schema.ts';\nconst port = process.env.PORT;\n",
  'config/schema.ts': "import * as z from 'zod';\n",
  'routes/native/predict.ts':
    "import type { Model } from '../../model/serving/model.ts';\nimport { send } from '../../http/send.ts';\n",
  'http/send.ts': "import { ServingError } from '../errors.ts';\nimport { createServer } from 'node:http';\n",
  'model/serving/model.ts': "import { spawn } from '../../engine/process/spawn.ts';\n",
  'model/fetch/fetcher.ts':
    "const source = true;\nconst entry = new URL(source ? './worker.ts' : './x.js', import.meta.url);\n",
  'model/fetch/worker.ts': 'export const a = 1;\n',
  'engine/process/spawn.ts':
    "import { frame } from './frame.ts';\n// process.env and import('../app.ts') in a comment are words\n",
  'engine/process/frame.ts': "export * from '../../errors.ts';\n",
  'engine/process/runtime.ts': "import type { Tensor } from 'onnxruntime-node';\n",
  'engine/process/worker.ts': "process.env.ORT_DISABLE_TELEMETRY = '1';\n",
  'errors.ts': 'export const a = 1;\n',
  'client/client.ts': "import { a } from './call.ts';\n",
  'client/call.ts': 'export const a = 1;\n',
};

test('sound sources have no breaches', () => {
  assert.deepEqual(findBreaches(new Map(Object.entries(SOUND)), RULES), []);
});

const BROKEN: [title: string, files: Record<string, string>, breach: RegExp][] = [
  [
    'an import up the rooms',
    { 'engine/process/frame.ts': "import { M } from '../../model/serving/model.ts';\n" },
    /^engine\/process\/frame\.ts: imports model\/serving\/model\.ts, up the list/,
  ],
  [
    'a type import up the rooms',
    { 'http/send.ts': "import type { P } from '../routes/native/predict.ts';\n" },
    /^http\/send\.ts: .*up the list/,
  ],
  [
    'a dynamic import up the rooms',
    { 'errors.ts': "const x = await import('./app.ts');\n" },
    /^errors\.ts: imports app\.ts, up/,
  ],
  [
    'an import over several lines',
    { 'engine/process/frame.ts': "import {\n  a,\n  type B,\n} from '../../http/send.ts';\n" },
    /^engine\/process\/frame\.ts: imports http\/send\.ts, up/,
  ],
  [
    'an import for its effects',
    { 'engine/process/frame.ts': "import '../../http/send.ts';\n" },
    /imports http\/send\.ts, up/,
  ],
  [
    'an export from up the rooms',
    { 'engine/process/frame.ts': "export { a } from '../../http/send.ts';\n" },
    /imports http\/send\.ts, up/,
  ],
  [
    'the type of an import',
    { 'engine/process/frame.ts': "type A = typeof import('../../http/send.ts');\n" },
    /imports http\/send\.ts, up/,
  ],
  [
    'config read by a room',
    { 'routes/native/predict.ts': "import { readConfig } from '../../config/settings.ts';\n" },
    /imports config\/settings\.ts, up/,
  ],
  ['a host imported', { 'app.ts': "import './server.ts';\n" }, /^app\.ts: imports server\.ts, up/],
  [
    'a client that imports ours',
    { 'client/client.ts': "import { a } from '../errors.ts';\n" },
    /^client\/client\.ts: .*nothing of ours/,
  ],
  [
    'a room that is not in the list',
    { 'utils/format.ts': 'export const a = 1;\n' },
    /^utils\/format\.ts: its room is not in the list/,
  ],
  [
    'a file that is not there',
    { 'app.ts': "import './nowhere.ts';\n" },
    /^app\.ts: imports nowhere\.ts, which is not there/,
  ],
  [
    'a cycle',
    { 'engine/process/frame.ts': "import { a } from './spawn.ts';\n" },
    /^import cycle: engine\/process\/frame\.ts -> engine\/process\/spawn\.ts -> engine\/process\/frame\.ts$/,
  ],
  [
    'a cycle of three',
    {
      'engine/a.ts': "import './b.ts';\n",
      'engine/b.ts': "import './c.ts';\n",
      'engine/c.ts': "await import('./a.ts');\n",
    },
    /^import cycle: engine\/a\.ts -> engine\/b\.ts -> engine\/c\.ts -> engine\/a\.ts$/,
  ],
  [
    'a cycle of types',
    { 'engine/process/frame.ts': "import type { A } from './spawn.ts';\n" },
    /^cycle of type imports: engine\/process\/frame\.ts -> engine\/process\/spawn\.ts/,
  ],
  [
    'a second importer of onnxruntime',
    { 'model/serving/model.ts': "import * as ort from 'onnxruntime-node';\n" },
    /^model\/serving\/model\.ts: imports onnxruntime-node, which is for engine\/process\/runtime\.ts alone/,
  ],
  [
    'a lazy second importer',
    { 'model/serving/model.ts': "const w = await import('winston');\n" },
    /imports winston, which is for/,
  ],
  [
    'a path into a package',
    { 'model/serving/model.ts': "import { a } from '@google-cloud/logging-winston/build/x.js';\n" },
    /imports @google-cloud\/logging-winston, which is for/,
  ],
  [
    'a package nobody allowed',
    { 'model/serving/model.ts': "import express from 'express';\n" },
    /imports the package express, which is not in the list/,
  ],
  [
    'the environment in a room',
    { 'model/serving/model.ts': 'const x = process.env.HOME;\n' },
    /^model\/serving\/model\.ts: uses process\.env/,
  ],
  ['the environment by key', { 'model/serving/model.ts': "const x = process.env['HOME'];\n" }, /uses process\.env/],
  ['the environment taken apart', { 'model/serving/model.ts': 'const { env } = process;\n' }, /uses process\.env/],
  [
    'another variable in the worker',
    { 'engine/process/worker.ts': "process.env['PORT'] = '1';\n" },
    /^engine\/process\/worker\.ts: uses process\.env/,
  ],
  [
    'a sub-room that imports one above it',
    { 'model/fetch/worker.ts': "import type { M } from '../serving/model.ts';\n" },
    /^model\/fetch\/worker\.ts: imports model\/serving\/model\.ts, up/,
  ],
  [
    'the file of a thread up the rooms',
    { 'http/send.ts': "const entry = new URL(source ? '../routes/native/predict.ts' : './a.js', import.meta.url);\n" },
    /^http\/send\.ts: imports routes\/native\/predict\.ts, up/,
  ],
  [
    'a function that is too long',
    { 'errors.ts': `export async function read(): Promise<void> {\n${'  await 1;\n'.repeat(99)}}\n` },
    /^errors\.ts: read has 101 lines, 100 at most/,
  ],
  [
    'a folder that is too full',
    Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`tensor/t${i}.ts`, 'export const a = 1;\n'])),
    /^tensor: 16 files, 15 at most/,
  ],
];

for (const [title, files, breach] of BROKEN) {
  test(`the checker finds ${title}`, () => {
    const found = findBreaches(new Map(Object.entries({ ...SOUND, ...files })), RULES);
    assert.ok(
      found.some((line) => breach.test(line)),
      found.join('\n') || 'found nothing',
    );
    // What runs up the rooms may close a cycle, too.
    assert.ok(found.filter((line) => !breach.test(line) && !line.includes('cycle')).length === 0, found.join('\n'));
  });
}
