/** `node scripts/prune-onnxruntime.ts`: removes the files of other platforms from onnxruntime-node: 45 of 290 MB remain. For images; `npm ci` restores them. */
import { globSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine } from './command-line.ts';

const USAGE = `node scripts/prune-onnxruntime.ts: removes the files of other platforms from FOLDER/node_modules/onnxruntime-node.

Usage: node scripts/prune-onnxruntime.ts [FOLDER]

  FOLDER   default: this repository, where npm ci restores them`;
const root = readCommandLine(USAGE, {}, [0, 1]).positionals[0] ?? join(import.meta.dirname, '..');
const bin = join(root, 'node_modules/onnxruntime-node/bin');
const own = `${process.platform}/${process.arch}`;
const platforms = globSync('napi-v*/*/*', { cwd: bin });
if (!platforms.some((folder) => folder.endsWith(`/${own}`)))
  throw new Error(`onnxruntime-node has nothing for ${own} in ${bin}: nothing was deleted`);
for (const folder of platforms) {
  if (!folder.endsWith(`/${own}`)) rmSync(join(bin, folder), { recursive: true });
}
