/** Builds the client, before it is packed: `clients/typescript/dist/`. */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const PACKAGE = join(import.meta.dirname, '../clients/typescript');

/**
 * Writes `client.js`, one file for browsers and Node 20, and its types, `client.d.ts` and those that it imports.
 * @param dist a folder, which is emptied first
 * @throws Error with the compiler's output if the client needs more than web standards.
 */
export async function buildClient(dist: string): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  await build({
    entryPoints: { client: join(PACKAGE, 'src/client.ts') },
    outdir: dist,
    bundle: true,
    platform: 'neutral',
    target: 'es2022',
    format: 'esm',
    logLevel: 'warning',
  });
  declareTypes(dist);
}

function declareTypes(dist: string): void {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', PACKAGE, '--outDir', dist], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the types of the client: ${stdout}`);
  const imports = new Map<string, readonly string[]>();
  for (const name of globSync('*.d.ts', { cwd: dist })) {
    const file = join(dist, name);
    const text = readFileSync(file, 'utf8');
    imports.set(
      name,
      Array.from(text.matchAll(/from '\.\/([\w-]+)\.ts'/g), ([, target]) => `${target}.d.ts`),
    );
    // The compiler does not change the imports of declarations: they have the names of the sources.
    writeFileSync(file, text.replace(/(from '\.\/[\w-]+)\.ts'/g, "$1.js'"));
  }
  const used = new Set(['client.d.ts']);
  for (const name of used) for (const target of imports.get(name)!) used.add(target);
  for (const name of imports.keys()) if (!used.has(name)) rmSync(join(dist, name));
}

if (import.meta.main) await buildClient(join(PACKAGE, 'dist'));
