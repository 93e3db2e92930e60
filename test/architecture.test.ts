import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { test } from 'node:test';
import { findBreaches, type Rules } from './helpers/import-rules.ts';

const ROOT = join(import.meta.dirname, '..', 'functions');

const RULES: Rules = {
  order: [
    ['index.ts', 'server.ts', 'container.ts', 'health-check.ts', 'settings.ts'],
    ['app.ts'],
    ['config.ts'],
    ['setting-schema.ts'],
    ['routes'],
    ['http'],
    ['model'],
    ['engine'],
    // An engine process reads the graph of its model, so that the serving one does not: this lies below it.
    ['batching'],
    ['onnx'],
    ['telemetry'],
    ['errors.ts'],
  ],
  alone: ['client', 'page'],
  packages: {
    'onnxruntime-node': ['engine/session.ts'],
    '@google-cloud/functions-framework': ['index.ts'],
    '@google-cloud/logging-winston': ['telemetry/cloud-output.ts'],
    '@google-cloud/storage': ['model/sources/gcs.ts'],
    '@node-rs/crc32': ['model/crc32c.ts'],
    '@redis/client': ['model/sources/redis-cache.ts'],
    winston: ['telemetry/winston-output.ts'],
    'prom-client': ['telemetry/metrics.ts'],
    zod: [
      'config.ts',
      'model/manifest.ts',
      'routes/batch-predict.ts',
      'routes/openapi/document.ts',
      'routes/prediction.ts',
      'setting-schema.ts',
    ],
    '@bufbuild/protobuf': [
      'onnx/attribute.ts',
      'onnx/build.ts',
      'onnx/initializer.ts',
      'onnx/onnx_pb.ts',
      'onnx/read.ts',
      'onnx/write.ts',
    ],
  },
  // onnxruntime reads this one variable itself, from the environment, when it loads.
  env: {
    'config.ts': '',
    // The same is so of glibc, whenever it makes a locale.
    'engine/locale.ts': '',
    'engine/spawn.ts': '),',
    'engine/worker.ts': ".ORT_DISABLE_TELEMETRY = '1';",
  },
  maxLines: 320,
  generated: ['onnx/onnx_pb.ts'],
};

test('the sources keep the rules of the house', () => {
  const paths = globSync('**/*.ts', { cwd: ROOT }).map((path) => path.split(sep).join('/'));
  assert.ok(paths.includes('engine/session.ts') && paths.includes('server.ts'));
  const sources = new Map(paths.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]));
  assert.deepEqual(findBreaches(sources, RULES), []);
});

test('every package and every exception in the rules is still used where they say', () => {
  for (const [name, files] of Object.entries(RULES.packages)) {
    for (const file of files) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      assert.ok(new RegExp(`(from |import\\()['"]${name}[/'"]`).test(text), `${file} no longer imports ${name}`);
    }
  }
  assert.match(readFileSync(join(ROOT, 'engine/worker.ts'), 'utf8'), /process\.env\.ORT_DISABLE_TELEMETRY = '1';/);
});

const SOUND = {
  'server.ts': "import { prespawn } from './engine/spawn.ts';\nawait import('./app.ts');\n",
  'app.ts': "import { readConfig } from './config.ts';\nimport { predict } from './routes/predict.ts';\n",
  'config.ts': "import * as z from 'zod';\nconst port = process.env.PORT;\n",
  'routes/predict.ts': "import type { Model } from '../model/model.ts';\nimport { send } from '../http/send.ts';\n",
  'http/send.ts': "import { ServingError } from '../errors.ts';\nimport { createServer } from 'node:http';\n",
  'model/model.ts': "import { spawn } from '../engine/spawn.ts';\n",
  'engine/spawn.ts':
    "import { frame } from './frame.ts';\n// process.env and import('../app.ts') in a comment are words\n",
  'engine/frame.ts': "export * from '../errors.ts';\n",
  'engine/session.ts': "import type { Tensor } from 'onnxruntime-node';\n",
  'engine/worker.ts': "process.env.ORT_DISABLE_TELEMETRY = '1';\n",
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
    { 'engine/frame.ts': "import { M } from '../model/model.ts';\n" },
    /^engine\/frame\.ts: imports model\/model\.ts, up the list/,
  ],
  [
    'a type import up the rooms',
    { 'http/send.ts': "import type { P } from '../routes/predict.ts';\n" },
    /^http\/send\.ts: .*up the list/,
  ],
  [
    'a dynamic import up the rooms',
    { 'errors.ts': "const x = await import('./app.ts');\n" },
    /^errors\.ts: imports app\.ts, up/,
  ],
  [
    'an import over several lines',
    { 'engine/frame.ts': "import {\n  a,\n  type B,\n} from '../http/send.ts';\n" },
    /^engine\/frame\.ts: imports http\/send\.ts, up/,
  ],
  ['an import for its effects', { 'engine/frame.ts': "import '../http/send.ts';\n" }, /imports http\/send\.ts, up/],
  [
    'an export from up the rooms',
    { 'engine/frame.ts': "export { a } from '../http/send.ts';\n" },
    /imports http\/send\.ts, up/,
  ],
  [
    'the type of an import',
    { 'engine/frame.ts': "type A = typeof import('../http/send.ts');\n" },
    /imports http\/send\.ts, up/,
  ],
  [
    'config read by a room',
    { 'routes/predict.ts': "import { readConfig } from '../config.ts';\n" },
    /imports config\.ts, up/,
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
    { 'engine/frame.ts': "import { a } from './spawn.ts';\n" },
    /^import cycle: engine\/frame\.ts -> engine\/spawn\.ts -> engine\/frame\.ts$/,
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
    { 'engine/frame.ts': "import type { A } from './spawn.ts';\n" },
    /^cycle of type imports: engine\/frame\.ts -> engine\/spawn\.ts/,
  ],
  [
    'a second importer of onnxruntime',
    { 'model/model.ts': "import * as ort from 'onnxruntime-node';\n" },
    /^model\/model\.ts: imports onnxruntime-node, which is for engine\/session\.ts alone/,
  ],
  [
    'a lazy second importer',
    { 'model/model.ts': "const w = await import('winston');\n" },
    /imports winston, which is for/,
  ],
  [
    'a path into a package',
    { 'model/model.ts': "import { a } from '@google-cloud/logging-winston/build/x.js';\n" },
    /imports @google-cloud\/logging-winston, which is for/,
  ],
  [
    'a package nobody allowed',
    { 'model/model.ts': "import express from 'express';\n" },
    /imports the package express, which is not in the list/,
  ],
  [
    'the environment in a room',
    { 'model/model.ts': 'const x = process.env.HOME;\n' },
    /^model\/model\.ts: uses process\.env/,
  ],
  ['the environment by key', { 'model/model.ts': "const x = process.env['HOME'];\n" }, /uses process\.env/],
  ['the environment taken apart', { 'model/model.ts': 'const { env } = process;\n' }, /uses process\.env/],
  [
    'another variable in the worker',
    { 'engine/worker.ts': "process.env['PORT'] = '1';\n" },
    /^engine\/worker\.ts: uses process\.env/,
  ],
  ['a file that is too long', { 'errors.ts': 'const a = 1;\n'.repeat(321) }, /^errors\.ts: 321 lines, 320 at most/],
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
