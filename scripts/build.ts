/** `npm run build`: bundles `functions/` into `dist/`, an entry each for the two hosts, the engine and the fetching process, and the parsing thread; and the client. */
import { rmSync } from 'node:fs';
import { build } from 'esbuild';
import { writeAssets } from './browser-assets.ts';
import { buildClient } from './build-client.ts';
import { EXTERNALS } from './externals.ts';

rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: {
    server: 'functions/server.ts',
    index: 'functions/index.ts',
    engine: 'functions/engine/worker.ts',
    fetcher: 'functions/model/fetch/worker.ts',
    'health-check': 'functions/health-check.ts',
    'json-thread': 'functions/routes/body-thread.ts',
  },
  outdir: 'dist',
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
await Promise.all([buildClient('dist'), writeAssets('dist')]);
