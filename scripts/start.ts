/**
 * `npm start`: builds if the build is missing or older than its sources, then serves as `onnx-cloud-run serve` does. Arguments after
 * `--` are those of `serve`.
 */
import { buildIfNeeded } from './build-if-needed.ts';

const needsBuild = !process.argv.includes('--help');
if (needsBuild) buildIfNeeded();
process.argv.splice(2, 0, 'serve');
// A variable, which TypeScript does not resolve: the file exists only after a build.
const program = needsBuild ? '../dist/cli.js' : '../functions/cli/main.ts';
await import(program);
