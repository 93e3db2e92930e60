import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Ran, ROOT, run } from './program.ts';

const NAMES = ['python3', ...[9, 10, 11, 12, 13, 14].map((minor) => `python3.${minor}`)];

/** The Pythons of PATH that the client supports, each version once. There is at least `python3`. */
export const PYTHONS: readonly string[] = findPythons();

function findPythons(): string[] {
  const found = new Map<string, string>();
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const program of NAMES.map((name) => join(folder, name)).filter(isExecutable)) {
      const code = 'import sys; print(*sys.version_info[:2]); sys.exit(sys.version_info < (3, 9))';
      const { status, stdout } = spawnSync(program, ['-c', code], { encoding: 'utf8' });
      if (status === 0 && !found.has(stdout)) found.set(stdout, program);
    }
  }
  return [...found.values()];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The arguments and variables with which a program imports the client, and reports each socket that it does not close. */
export const WITH_CLIENT = {
  flags: ['-W', 'error', '-X', 'dev'],
  env: { PYTHONPATH: join(ROOT, 'clients/python'), PYTHONDONTWRITEBYTECODE: '1' },
};

const PRELUDE = `
import json, math, sys, threading
from array import array
from onnx_cloud_run import BatchRow, Client, ClientError, Tensor

def error_of(call):
    try:
        call()
    except ClientError as error:
        return error
    raise AssertionError("no error")

url = sys.argv[1]
`;

/** The first call of each model loads it, which takes longer on a busy machine. */
const BOUND_MS = 180_000;

/** Runs a program that uses the client. Its arguments are `sys.argv[1:]`; the first is `url`. */
export function python(code: string, args: readonly string[], program = PYTHONS[0]!): Promise<Ran> {
  return run(program, [...WITH_CLIENT.flags, '-c', PRELUDE + code, ...args], WITH_CLIENT.env, BOUND_MS);
}
