import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');
const ENTRY = join(ROOT, 'functions/client/client.ts');

/**
 * Writes `client.js`, one file for browsers and Node 20, and its types, `client.d.ts` and `client/`, into `dist`.
 * @throws Error with the compiler's output if the client needs more than web standards.
 */
export async function buildClient(dist: string): Promise<void> {
  await build({
    entryPoints: { client: ENTRY },
    outdir: dist,
    bundle: true,
    platform: 'neutral',
    target: 'es2022',
    format: 'esm',
    logLevel: 'warning',
  });
  declareTypes(join(dist, 'client'));
  writeFileSync(join(dist, 'client.d.ts'), "export * from './client/client.js';\n");
}

function declareTypes(folder: string): void {
  const options = {
    declaration: true,
    emitDeclarationOnly: true,
    outDir: folder,
    // Not this project's libraries: code that needs more than a browser must not compile.
    lib: 'ES2022,DOM,DOM.Iterable,DOM.AsyncIterable',
    types: '',
    target: 'ES2022',
    module: 'ESNext',
    moduleResolution: 'Bundler',
    allowImportingTsExtensions: true,
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
  };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [compiler, '--ignoreConfig', ENTRY, ...flags], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the types of the client: ${stdout}`);
  // The compiler does not change the imports of declarations: they have the names of the sources.
  for (const name of globSync('*.d.ts', { cwd: folder })) {
    const file = join(folder, name);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/(from '\.\/[\w-]+)\.ts'/g, "$1.js'"));
  }
}
