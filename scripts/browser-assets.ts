import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(ROOT, 'functions/page');
/** What `/docs` needs of the viewer. Its licences are kept beside it. */
const VIEWER = ['swagger-ui-bundle.js', 'swagger-ui.css'];
const LICENCES = ['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt'];

const folderOf = (name: string): string => dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
const viewer = (): string => folderOf('swagger-ui-dist');

/** What the browser gets of `/` and `/docs`: by its path below `dist/`. */
export async function buildAssets(): Promise<Map<string, Uint8Array>> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: {
      'page/page': 'functions/page/page.ts',
      'page/page.css': 'functions/page/page.css',
      'docs/docs': 'functions/page/docs/docs.ts',
      'docs/docs.css': 'functions/page/docs/docs.css',
    },
    entryNames: '[dir]/[name]',
    outdir: 'dist',
    write: false,
    bundle: true,
    minify: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    charset: 'utf8',
    // Its base is not everywhere that this builds: the image takes the sources alone.
    tsconfigRaw: {},
    logLevel: 'warning',
    // They stand in files of their own: `writeAssets`.
    legalComments: 'none',
  });
  const assets = new Map<string, Uint8Array>();
  for (const { path, contents } of outputFiles) {
    const name = path.slice(join(ROOT, 'dist').length + 1).replace('.css.css', '.css');
    assets.set(name.replaceAll('\\', '/'), contents);
  }
  assets.set('page/index.html', readFileSync(join(PAGE, 'index.html')));
  assets.set('docs/index.html', readFileSync(join(PAGE, 'docs/index.html')));
  for (const name of VIEWER) assets.set(`docs/${name}`, readFileSync(join(viewer(), name)));
  return assets;
}

/** Writes them into `dist`, compressed alone: the server inflates them for the few clients that take neither coding. */
export async function writeAssets(dist: string): Promise<void> {
  for (const [name, bytes] of await buildAssets()) {
    const file = join(dist, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.gz`, gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }));
    writeFileSync(
      `${file}.br`,
      brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
    );
  }
  writeFileSync(join(dist, 'page/papaparse.LICENSE'), readFileSync(join(folderOf('papaparse'), 'LICENSE')));
  for (const name of LICENCES) writeFileSync(join(dist, 'docs', name), readFileSync(join(viewer(), name)));
}
