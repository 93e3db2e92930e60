import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';
import { SERVER_FLAGS } from '../../scripts/node-flags.ts';
import { startServer } from '../../scripts/server-process.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Has a server report whether V8 refused the cache; undefined if there was none. */
const REPORT = `data:text/javascript,${encodeURIComponent(`
  import { syncBuiltinESMExports } from 'node:module';
  import vm from 'node:vm';
  const { Script } = vm;
  vm.Script = class extends Script {
    constructor(source, options) {
      super(source, options);
      console.log('refused: ' + this.cachedDataRejected);
    }
  };
  syncBuiltinESMExports();
`)}`;

/** Starts the server of a build, and returns what it reports about its cache. */
async function refusal(t: TestContext, dist: string, flags: readonly string[]): Promise<string | undefined> {
  const args = ['--import', REPORT, ...flags, join(dist, 'server.js')];
  const server = await startServer(args, { MODEL_URI: join(ROOT, 'models'), MODEL_LOAD: 'lazy' });
  t.after(() => server.stop('SIGKILL'));
  return server.lines.find((line) => line.startsWith('refused: '));
}

test("the build's server starts from the code that V8 compiled when it was built, and without it after other flags, damage or its loss", async (t) => {
  buildIfNeeded('ctimeMs');
  assert.equal(await refusal(t, join(ROOT, 'dist'), SERVER_FLAGS), 'refused: false');
  assert.equal(await refusal(t, join(ROOT, 'dist'), [...SERVER_FLAGS, '--no-sparkplug']), 'refused: true');
  const folder = mkdtempSync(join(tmpdir(), 'cache-'));
  t.after(() => rmSync(folder, { recursive: true }));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
  const cache = join(folder, 'dist/server.cache');
  const bytes = readFileSync(cache);
  writeFileSync(cache, Buffer.from(bytes).fill(0xff, 5000, 6000));
  assert.equal(await refusal(t, join(folder, 'dist'), SERVER_FLAGS), 'refused: undefined');
  writeFileSync(cache, bytes);
  const bundle = join(folder, 'dist/server.cjs');
  writeFileSync(bundle, readFileSync(bundle, 'latin1').replace('use strict', 'use STRICT'), 'latin1');
  assert.equal(await refusal(t, join(folder, 'dist'), SERVER_FLAGS), 'refused: undefined');
  rmSync(cache);
  assert.ok(!existsSync(join(folder, 'dist/server.cache')));
  assert.equal(await refusal(t, join(folder, 'dist'), SERVER_FLAGS), 'refused: undefined');
});
