/**
 * `node scripts/sbom.ts FOLDER MODULES`, for the image: adds the packages of MODULES/node_modules to the bill of materials
 * FOLDER/sbom.cdx.json, in which the build has listed those of its bundles, and writes the licence texts of all to
 * FOLDER/THIRD_PARTY_LICENSES.txt.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine } from './command-line.ts';
import { type Bom, foldersOf } from './sbom/bom.ts';
import { writeNotices } from './sbom/notices.ts';
import { installedFolders, readLock } from './sbom/packages.ts';

const ROOT = join(import.meta.dirname, '..');
const USAGE = `node scripts/sbom.ts: adds the packages of MODULES/node_modules to the bill of materials FOLDER/sbom.cdx.json, and
writes their licences to FOLDER/THIRD_PARTY_LICENSES.txt.

Usage: node scripts/sbom.ts FOLDER MODULES`;
const [target, modules] = readCommandLine(USAGE, {}, [2, 2]).positionals as [string, string];

const lock = readLock(ROOT);
const bill = JSON.parse(readFileSync(join(target, 'sbom.cdx.json'), 'utf8')) as Bom;
writeNotices(ROOT, target, [...foldersOf(bill), ...installedFolders(lock, modules)], cudaProvider());

/** onnxruntime's libraries for CUDA, which its install script fetches from NuGet into its package: the image of target gpu has them. */
function cudaProvider() {
  const [library] = globSync('node_modules/onnxruntime-node/bin/**/libonnxruntime_providers_cuda.so', { cwd: modules });
  if (library === undefined) return [];
  const name = 'Microsoft.ML.OnnxRuntime.Gpu.Linux';
  const version = lock['node_modules/onnxruntime-node']?.version ?? '';
  return [{ name, version, purl: `pkg:nuget/${name}@${version}`, license: 'MIT' }];
}
