import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROOT, run } from './program.ts';

const COUNT = 35;
/** What the functions framework does not leave to the handler. docs/deploy/functions.md lists it. */
const FUNCTIONS_CANNOT = [9, 10, 26, 31];
const BOUND_MS = 240_000;

/** The table as it was printed: numbers by result. */
function readTable(text: string): Record<string, number[]> {
  const lines = Array.from(text.matchAll(/^ ?(\d+) {2}(pass|FAIL|not proven|cannot) /gm));
  const results = new Set(lines.map(([, , result]) => result!));
  // The one that ends the server comes last, whatever its number.
  const numbers = (of: string) =>
    lines
      .filter(([, , result]) => result === of)
      .map(([, number]) => Number(number))
      .sort((a, b) => a - b);
  return Object.fromEntries(Array.from(results, (result) => [result, numbers(result)]));
}

const others = (numbers: readonly number[]): number[] =>
  Array.from({ length: COUNT }, (_, i) => i + 1).filter((number) => !numbers.includes(number));

async function conformance(...args: string[]) {
  return run(process.execPath, [`${ROOT}/scripts/conformance.ts`, ...args], {}, BOUND_MS);
}

test('the container holds all checks', async () => {
  const { stdout, stderr, code } = await conformance('--start');
  assert.deepEqual(readTable(stdout), { pass: others([]) }, stdout + stderr);
  assert.equal(code, 0);
});

test('the function holds all checks but those that its framework takes out of its hands', async () => {
  const { stdout, stderr, code } = await conformance('--start', '--host-kind', 'functions');
  assert.deepEqual(readTable(stdout), { pass: others(FUNCTIONS_CANNOT), cannot: FUNCTIONS_CANNOT }, stdout + stderr);
  assert.equal(code, 0);
});
