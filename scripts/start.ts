/** `npm start`: builds if the build is missing or older than its sources, then serves. */
import { buildIfNeeded } from './build-if-needed.ts';

buildIfNeeded();
// A variable, which TypeScript does not resolve: the file exists only after a build.
const server = '../dist/server.js';
await import(server);
