/** `npm run build`: bundles `functions/` into `dist/`, an entry each for the two hosts, the engine and the fetching process, and the parsing thread; and the client. */
import { renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { writeAssets } from './browser-assets.ts';
import { buildClient } from './build-client.ts';
import { EXTERNALS } from './externals.ts';

process.chdir(join(import.meta.dirname, '..'));
/** What is edited from now on is newer than the build, whether or not it came into it. */
const started = new Date();
/** Beside `dist`, whose place it takes once it is whole: nobody ever finds half a build. */
const made = `.dist-${process.pid}`;
process.on('exit', () => rmSync(made, { recursive: true, force: true }));
await build({
  entryPoints: {
    server: 'functions/server.ts',
    index: 'functions/index.ts',
    engine: 'functions/engine/worker.ts',
    fetcher: 'functions/model/fetch/worker.ts',
    'health-check': 'functions/health-check.ts',
    'json-thread': 'functions/routes/body-thread.ts',
  },
  outdir: made,
  bundle: true,
  splitting: true,
  chunkNames: '[name]-[hash]',
  platform: 'node',
  target: 'node24',
  format: 'esm',
  external: EXTERNALS,
  // Bundled CommonJS libraries require Node's own modules.
  banner: { js: "import { createRequire as $require } from 'node:module';const require = $require(import.meta.url);" },
  legalComments: 'linked',
  logLevel: 'warning',
});
await Promise.all([buildClient(made), writeAssets(made)]);
utimesSync(join(made, 'server.js'), started, started);
rmSync('dist', { recursive: true, force: true });
renameSync(made, 'dist');
