/**
 * npm runs this when it packs the package: `prepack` and `postpack` of package.json. The archive is what is published: `npm publish` of
 * the folder would send the dependencies of the repository to the registry.
 *
 * The packed package has the dependencies of `INSTALLED`, and sharp. `dist/node_modules` has the others that the bundles load: onnxruntime-node without its install
 * script, which fetches CUDA's libraries from NuGet on Linux, and without the platforms on which this server does not run. So an
 * install runs no script, with any version of npm, and downloads nothing besides packages of npm's registry.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine } from './command-line.ts';
import { writeDeclarations } from './declarations.ts';
import { copyPackages } from './runtime-modules.ts';
import { type Bom, foldersOf } from './sbom/bom.ts';
import { writeNotices } from './sbom/notices.ts';
import { installedFolders, readLock } from './sbom/packages.ts';

const USAGE = `node scripts/package.ts: prepares the package for npm pack: builds, copies packages into dist/node_modules, and
replaces package.json by that of the published package.

Usage: node scripts/package.ts [--restore]

  --restore   puts package.json of the repository back`;

const ROOT = join(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');
const MANIFEST = join(ROOT, 'package.json');
/** The repository's package.json, while npm packs. */
const SAVED = join(ROOT, 'package.json.bak');
const COPIED = ['onnxruntime-node', '@google-cloud/logging-winston'];
/** Their binaries are a package for each platform, of which npm installs the right one; as those of sharp, which is optional. */
const INSTALLED = ['@node-rs/crc32', '@anush008/tokenizers'];
/** Loaded by the function alone, and must be the instance that the framework's command line runs: the package of a function has it. */
const FRAMEWORK = '@google-cloud/functions-framework';
const PLATFORMS = ['linux/x64', 'linux/arm64', 'darwin/arm64'];

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

const { values } = readCommandLine(USAGE, { restore: { type: 'boolean', default: false } });
if (values.restore) {
  if (existsSync(SAVED)) renameSync(SAVED, MANIFEST);
} else {
  const { status } = spawnSync(process.execPath, [join(ROOT, 'scripts/build.ts')], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  copyPackages(ROOT, DIST, COPIED);
  removePlatforms();
  writeDeclarations(ROOT, DIST);
  const bill = JSON.parse(readFileSync(join(DIST, 'sbom.cdx.json'), 'utf8')) as Bom;
  writeNotices(ROOT, DIST, [...foldersOf(bill), ...installedFolders(readLock(ROOT), DIST)]);
  copyFileSync(MANIFEST, SAVED);
  writeFileSync(MANIFEST, `${JSON.stringify(publishedManifest(), undefined, 2)}\n`);
}

function removePlatforms(): void {
  const bin = join(DIST, 'node_modules/onnxruntime-node/bin');
  for (const folder of globSync('napi-v*/*/*', { cwd: bin })) {
    if (!PLATFORMS.some((platform) => folder.endsWith(`/${platform}`))) rmSync(join(bin, folder), { recursive: true });
  }
  // The same bytes as libonnxruntime.1.dylib, which the binding loads.
  for (const copy of globSync('**/libonnxruntime.*.*.dylib', { cwd: bin })) rmSync(join(bin, copy));
  // It is for the install script.
  rmSync(join(bin, '../script'), { recursive: true });
}

function publishedManifest(): object {
  const {
    scripts: _,
    devDependencies: __,
    allowScripts: ___,
    dependencies,
    ...manifest
  } = JSON.parse(readFileSync(MANIFEST, 'utf8')) as Manifest;
  return {
    ...manifest,
    os: [...new Set(PLATFORMS.map((platform) => platform.split('/')[0]))],
    dependencies: Object.fromEntries(INSTALLED.map((name) => [name, dependencies[name]])),
    peerDependencies: { [FRAMEWORK]: `^${dependencies[FRAMEWORK]}` },
    peerDependenciesMeta: { [FRAMEWORK]: { optional: true } },
  };
}
