/** `npm run build`: bundles `functions/` into `dist/`, an entry each for the two hosts, the engine process and the parsing thread. */
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: {
    server: 'functions/server.ts',
    index: 'functions/index.ts',
    engine: 'functions/engine/worker.ts',
    'json-thread': 'functions/routes/json-thread.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  chunkNames: '[name]-[hash]',
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // onnxruntime-node has native parts beside it, the framework must be the one its command line runs, and the client
  // libraries of Google Cloud load files of their own.
  external: ['onnxruntime-node', '@google-cloud/functions-framework', '@google-cloud/logging-winston'],
  // Bundled CommonJS libraries require Node's own modules.
  banner: { js: "import { createRequire as $require } from 'node:module';const require = $require(import.meta.url);" },
  legalComments: 'linked',
  logLevel: 'warning',
});
