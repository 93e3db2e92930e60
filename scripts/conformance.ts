/** `npm run conformance -- URL`: runs the checks of the Open Inference Protocol against a server, and prints a table. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildIfNeeded } from './build-if-needed.ts';
import { printHelp } from './command-line.ts';
import { type Arguments, readArguments, USAGE } from './conformance/arguments.ts';
import { CHECKS } from './conformance/checks.ts';
import { STARTING, writeFixture } from './conformance/fixture.ts';
import { FUNCTIONS_LIMITS } from './conformance/functions-host.ts';
import { exchange } from './conformance/http.ts';
import { LIMIT_BYTES, startOwnServer } from './conformance/own-server.ts';
import { formatResult, HEAD, summarize } from './conformance/report.ts';
import { runChecks } from './conformance/run.ts';
import { type Startup, watchStartup } from './conformance/startup.ts';

const START_MS = 120_000;

async function check(options: Arguments, url: string): Promise<boolean> {
  const { headers, timeoutMs, only, hostKind } = options;
  let startup: Startup | undefined;
  if (options.fresh) {
    console.log(`waiting for ${url} to start`);
    const model = options.fixture ? STARTING : options.model!;
    startup = await watchStartup((sent) => exchange(url, { ...sent, headers }, timeoutMs), model, START_MS);
  }
  const checks = only === undefined ? CHECKS : CHECKS.filter(({ number }) => only.includes(number));
  console.log(HEAD);
  const limits = hostKind === 'functions' ? FUNCTIONS_LIMITS : {};
  const results = await runChecks(checks, { ...options, url, startup }, limits, (result) =>
    console.log(formatResult(result, options.verbose)),
  );
  console.log(`\n${summarize(results)}`);
  return !results.some(({ verdict }) => verdict === 'fail');
}

async function checkOwnServer(options: Arguments): Promise<boolean> {
  buildIfNeeded();
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  writeFixture(folder);
  const server = await startOwnServer(options.hostKind, folder);
  try {
    const passed = await check({ ...options, pid: server.pid, limitBytes: LIMIT_BYTES }, server.url);
    if (options.verbose) console.log(`\nthe server wrote:\n${server.written()}`);
    return passed;
  } catch (error) {
    throw new Error(`${(error as Error).message}\nthe server wrote:\n${server.written()}`);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true });
  }
}

function writeModels(folder: string): void {
  writeFixture(folder);
  console.log(`${folder} has the models. This project's server takes them with
  MODEL_URI=${folder} MODEL_NAME=${STARTING} npm start
and another with ${folder} as its model repository. Then: npm run conformance -- URL --fixture`);
}

async function main(): Promise<number> {
  printHelp(USAGE);
  let options: Arguments;
  try {
    options = readArguments(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (options.folder !== undefined) {
    writeModels(options.folder);
    return 0;
  }
  return (await (options.start ? checkOwnServer(options) : check(options, options.url!))) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
