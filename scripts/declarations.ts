import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/**
 * Writes `transform.d.ts`, the types of a model's `transform.ts`, which the package exports as `onnx-cloud-run/transform`.
 * @param root the repository
 */
export function writeDeclarations(root: string, folder: string): void {
  const options = [
    '--ignoreConfig',
    '--declaration',
    '--emitDeclarationOnly',
    '--target',
    'es2024',
    '--module',
    'nodenext',
  ];
  const source = join(root, 'functions/transform.ts');
  execFileSync(join(root, 'node_modules/.bin/tsc'), [...options, '--outDir', folder, source], { stdio: 'inherit' });
}
