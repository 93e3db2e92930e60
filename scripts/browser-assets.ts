import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(ROOT, 'functions/page');
/** The files of the viewer at `/docs`. Its licences are stored with them. */
const VIEWER = ['swagger-ui-bundle.js', 'swagger-ui.css'];
const LICENCES = ['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt'];

/** The packages of which parts are in the files of the pages. In the lock file they are of development: no server loads them. */
export const PAGE_PACKAGES: readonly string[] = ['swagger-ui-dist'];

const folderOf = (name: string): string => dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
const viewer = (): string => folderOf('swagger-ui-dist');

/** Builds the files of the pages at `/` and `/docs`. @returns their bytes by their path below `dist/`. */
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
    // The tsconfig's base is not always there: the image gets only the sources.
    tsconfigRaw: {},
    logLevel: 'warning',
    // They are written to files of their own: see `writeAssets`.
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

/** Writes the files into `dist`, only compressed: the server inflates them for the few clients that accept neither coding. */
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
  for (const name of LICENCES) writeFileSync(join(dist, 'docs', name), readFileSync(join(viewer(), name)));
}
