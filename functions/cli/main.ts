#!/usr/bin/env -S node --max-semi-space-size=2
/** The command-line program `onnx-cloud-run`. The imports are dynamic: an old Node could not read what they contain. */
const MIN_NODE = 24;

if (Number.parseInt(process.versions.node, 10) < MIN_NODE) {
  process.stderr.write(`onnx-cloud-run needs Node ${MIN_NODE} or newer, and this is Node ${process.versions.node}\n`);
  process.exit(1);
}
const { run } = await import('./program.ts');
await run(process.argv.slice(2));

// A module: it awaits.
export {};
