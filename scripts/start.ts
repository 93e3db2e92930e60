/** `npm start`: builds where the build is missing or older than its sources, then serves. */
import { buildIfNeeded } from './build-if-needed.ts';

buildIfNeeded();
// By a name TypeScript does not look up: the file is there only after a build.
const server = '../dist/server.js';
await import(server);
