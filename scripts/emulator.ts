/**
 * `npm run emulator`: the handler under the functions-framework command line, as Cloud Run functions run it, on `PORT`.
 * Arguments after `--` are passed to that command line.
 */
import { join } from 'node:path';
import { buildIfNeeded } from './build-if-needed.ts';

buildIfNeeded();
const root = join(import.meta.dirname, '..');
// Outside production the framework shows callers the text of internal errors.
process.env.NODE_ENV ??= 'production';
process.argv.splice(2, 0, '--target=predict', `--source=${root}`);
// In this process, so that signals and the exit code are the framework's own.
await import(join(root, 'node_modules/@google-cloud/functions-framework/build/src/main.js'));
