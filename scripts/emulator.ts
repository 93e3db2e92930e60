/**
 * `npm run emulator`: the handler under the functions-framework command line, as Cloud Run functions run it, on `PORT`.
 * Arguments after `--` are passed to that command line.
 */
import { channel } from 'node:diagnostics_channel';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { createReport } from '../functions/cli/serve/report.ts';
import { buildIfNeeded } from './build-if-needed.ts';
import { printHelp } from './command-line.ts';

printHelp(`npm run emulator: serves the function under the Functions Framework, as Cloud Run functions run it.

Usage: npm run emulator [-- OPTIONS OF THE FRAMEWORK]

  --port PORT   port to listen on; default: PORT, else 8080

Settings are environment variables: docs/operate/settings.md lists them. The model is loaded at the start; MODEL_LOAD=lazy loads
it at the first request, as a deployed function does.

Examples:
  npm run emulator
  MODEL_URI=my-models PORT=9000 npm run emulator`);

buildIfNeeded();
const root = join(import.meta.dirname, '..');
const isQuiet = process.stdout.isTTY && process.env.LOG_LEVEL === undefined;
if (isQuiet) process.env.LOG_LEVEL = 'warning';
process.env.MODEL_LOAD ??= 'eager';
// Outside production the framework shows callers the text of internal errors.
process.env.NODE_ENV ??= 'production';
process.argv.splice(2, 0, '--target=predict', `--source=${root}`);

// The same module as the framework loads. A variable, which TypeScript does not resolve: the file exists only after a build.
const entry = '../dist/index.js';
const { app, config, logger } = (await import(entry)).host;
const report = createReport({ isQuiet });
report.started(app, config, logger);
channel('tracing:net.server.listen:asyncEnd').subscribe((message) => {
  report.listening(((message as { server: Server }).server.address() as AddressInfo).port);
});
channel('tracing:net.server.listen:error').subscribe((message) => {
  report.failed((message as { error: Error }).error.message);
  process.exit(1);
});
// In this process, so that signals and the exit code are the framework's own.
await import(join(root, 'node_modules/@google-cloud/functions-framework/build/src/main.js'));
