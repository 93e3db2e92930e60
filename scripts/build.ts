/** `npm run build`: bundles `functions/` into `dist/`, with an entry for each host, the engine process, the fetching process and the parsing thread. Writes which packages the files contain, and their licences. */
import { chmodSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { PAGE_PACKAGES, writeAssets } from './browser-assets.ts';
import { writeCodeCache } from './code-cache.ts';
import { readCommandLine } from './command-line.ts';
import { EXTERNALS } from './externals.ts';
import { writeTemplate } from './project-template.ts';
import { writeNotices } from './sbom/notices.ts';
import { bundledFolders } from './sbom/packages.ts';

const { values } = readCommandLine(
  `npm run build: bundles functions/ into dist/: the servers, the command line, the pages and the client.

Usage: npm run build [-- --image]

  --image   only what a container of the server needs: neither the command line nor the function`,
  { image: { type: 'boolean', default: false } },
);
/** The entries that a container needs beside the server's. */
const CONTAINER = {
  server: 'functions/start.ts',
  engine: 'functions/engine/process/worker.ts',
  fetcher: 'functions/model/fetch/worker.ts',
  text: 'functions/preprocess/process/text-worker.ts',
  picture: 'functions/preprocess/process/picture-worker.ts',
  'transform-worker': 'functions/preprocess/process/transform-worker.ts',
  transform: 'functions/transform.ts',
  'health-check': 'functions/health-check.ts',
  'smoke-test': 'scripts/smoke-test.ts',
  'compile-models': 'scripts/compile-models.ts',
  'body-thread': 'functions/routes/body-thread.ts',
};
const OTHERS = {
  index: 'functions/index.ts',
  cli: 'functions/cli/main.ts',
  optimizer: 'functions/cli/optimize/optimizer.ts',
  'loadtest-alarm-thread': 'functions/cli/loadtest/generator/alarm-thread.ts',
  'loadtest-thread': 'functions/cli/loadtest/generator/thread.ts',
};
process.chdir(join(import.meta.dirname, '..'));
/** The time of the build: files that are edited from now on are newer, even if the build contains the edit. */
const started = new Date();
/** The folder of the build, which replaces `dist` once it is complete: an incomplete build is never visible. */
const made = `.dist-${process.pid}`;
process.on('exit', () => rmSync(made, { recursive: true, force: true }));
const shared = {
  outdir: made,
  bundle: true,
  platform: 'node',
  target: 'node24',
  external: EXTERNALS,
  legalComments: 'linked',
  metafile: true,
  logLevel: 'warning',
} as const;
const modules = await build({
  ...shared,
  entryPoints: values.image ? CONTAINER : { ...CONTAINER, ...OTHERS },
  splitting: true,
  chunkNames: '[name]-[hash]',
  format: 'esm',
  // Bundled CommonJS libraries require Node's own modules.
  banner: { js: "import { createRequire as $require } from 'node:module';const require = $require(import.meta.url);" },
});
// A script, because V8's code cache of a module cannot be given to Node.
const server = await build({
  ...shared,
  entryPoints: { server: 'functions/server.ts' },
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  define: { 'import.meta.url': '$url' },
  banner: { js: "const $url = require('node:url').pathToFileURL(__filename).href;" },
});
await writeAssets(made);
if (!values.image) writeTemplate(process.cwd(), made);
const ofPages = PAGE_PACKAGES.map((name) => `node_modules/${name}`);
writeNotices(process.cwd(), made, [
  ...new Set([...bundledFolders(modules.metafile), ...bundledFolders(server.metafile), ...ofPages]),
]);
try {
  await writeCodeCache(join(process.cwd(), made));
} catch (error) {
  process.stderr.write(`dist/ has no server.cache, so that a start takes longer: ${(error as Error).message}\n`);
}
if (!values.image) chmodSync(join(made, 'cli.js'), 0o755);
utimesSync(join(made, 'server.js'), started, started);
rmSync('dist', { recursive: true, force: true });
renameSync(made, 'dist');
