/** `npm run build`: bundles `functions/` into `dist/`, with an entry for each host, the engine process, the fetching process and the parsing thread. Writes which packages the files contain, and their licences. */
import { chmodSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { PAGE_PACKAGES, writeAssets } from './browser-assets.ts';
import { readCommandLine } from './command-line.ts';
import { EXTERNALS } from './externals.ts';
import { writeTemplate } from './project-template.ts';
import { writeNotices } from './sbom/notices.ts';
import { bundledFolders } from './sbom/packages.ts';

readCommandLine(
  `npm run build: bundles functions/ into dist/: the servers, the command line, the pages and the client.

Usage: npm run build`,
  {},
);
process.chdir(join(import.meta.dirname, '..'));
/** The time of the build: files that are edited from now on are newer, even if the build contains the edit. */
const started = new Date();
/** The folder of the build, which replaces `dist` once it is complete: an incomplete build is never visible. */
const made = `.dist-${process.pid}`;
process.on('exit', () => rmSync(made, { recursive: true, force: true }));
const { metafile } = await build({
  entryPoints: {
    server: 'functions/server.ts',
    index: 'functions/index.ts',
    engine: 'functions/engine/process/worker.ts',
    fetcher: 'functions/model/fetch/worker.ts',
    'health-check': 'functions/health-check.ts',
    'smoke-test': 'scripts/smoke-test.ts',
    'body-thread': 'functions/routes/body-thread.ts',
    cli: 'functions/cli/main.ts',
    optimizer: 'functions/cli/optimize/optimizer.ts',
    'loadtest-alarm-thread': 'functions/cli/loadtest/generator/alarm-thread.ts',
    'loadtest-thread': 'functions/cli/loadtest/generator/thread.ts',
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
  metafile: true,
  logLevel: 'warning',
});
await writeAssets(made);
writeTemplate(process.cwd(), made);
const ofPages = PAGE_PACKAGES.map((name) => `node_modules/${name}`);
writeNotices(process.cwd(), made, [...bundledFolders(metafile), ...ofPages]);
chmodSync(join(made, 'cli.js'), 0o755);
utimesSync(join(made, 'server.js'), started, started);
rmSync('dist', { recursive: true, force: true });
renameSync(made, 'dist');
