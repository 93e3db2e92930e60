import assert from 'node:assert/strict';
import { type Ran, run } from './program.ts';

const NPM_BOUND_MS = 300_000;

/** Where packages come from is the machine's business; the settings of an npm that runs the tests are not. */
export function npmEnvironment(): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) =>
    /^(npm_config_registry|.*_proxy|NODE_EXTRA_CA_CERTS)$/i.test(name),
  );
  return Object.fromEntries(inherited) as Record<string, string>;
}

/** Runs `npm <command>` in a folder. @throws Error with the end of its output if it fails */
export async function npm(folder: string, command: string, env: Record<string, string> = {}): Promise<Ran> {
  const line = ['-c', `cd "$0" && exec npm ${command}`, folder];
  const ran = await run('bash', line, { ...npmEnvironment(), ...env }, NPM_BOUND_MS);
  assert.equal(ran.code, 0, `npm ${command}: ${ran.stdout}${ran.stderr}`.slice(-4000));
  return ran;
}
