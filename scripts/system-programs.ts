import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findMissingKubectl } from './deploy-check/kustomize.ts';

/** A program of the system that a test runs. */
export interface SystemProgram {
  readonly name: string;
  /** How to install it on Debian and Ubuntu, or where that is described. */
  readonly install: string;
  /** The tests, by the names of their files, that can't be run without it. */
  readonly tests: readonly string[];
  /** Commands of which one must end with 0: a client alone is of no use, and a program may come as another's plugin. */
  readonly probes?: readonly (readonly string[])[];
  /** Whether the one that was found is of use: it may be too old. */
  readonly isUsable?: () => boolean;
  /** Left out without failing, in CI too. */
  readonly optional?: boolean;
}

const apt = (name: string): string => `apt-get install -y ${name}`;

export const SYSTEM_PROGRAMS: readonly SystemProgram[] = [
  { name: 'chromium', install: apt('chromium'), tests: ['page'] },
  { name: 'curl', install: apt('curl'), tests: ['page', 'quick-start'] },
  { name: 'git', install: apt('git'), tests: ['cloud-run', 'functions-source'] },
  {
    name: 'gcloud',
    install: 'https://cloud.google.com/sdk/docs/install',
    tests: ['cloud-build', 'cloud-run'],
    // Google's own repository has it, which not every machine reaches.
    optional: true,
  },
  { name: 'openssl', install: apt('openssl'), tests: ['redis-faults'] },
  { name: 'python3', install: apt('python3'), tests: ['page', 'python-client'] },
  { name: 'redis-server', install: apt('redis-server'), tests: ['bucket', 'redis-cache', 'redis-faults'] },
  {
    name: 'kubectl',
    install: 'https://kubernetes.io/docs/tasks/tools/ (1.27 or newer; Debian 13: apt-get install kubernetes-client)',
    tests: ['kustomize'],
    isUsable: () => findMissingKubectl() === undefined,
  },
  {
    name: 'docker',
    install: `${apt('docker.io')}, and have its daemon run`,
    tests: ['image', 'image-contract', 'image-running', 'cloud-build-image', 'compose'],
    probes: [['docker', 'info']],
  },
  {
    name: 'docker compose',
    install: apt('docker-compose'),
    tests: ['compose'],
    probes: [
      ['docker', 'compose', 'version'],
      ['docker-compose', 'version'],
    ],
  },
];

/** Whether a command ends with 0. */
export type Probe = (command: readonly string[]) => boolean;

const PROBE_BOUND_MS = 20_000;

/** Those that are in none of the folders of `path`, a `PATH`, or whose probes all fail. */
export function findMissing(path: string, probe: Probe = (command) => succeeds(command, path)): SystemProgram[] {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  const found = (name: string): boolean => folders.some((folder) => isProgram(join(folder, name)));
  return SYSTEM_PROGRAMS.filter(({ name, probes, isUsable = () => true }) =>
    probes === undefined
      ? !(found(name) && isUsable())
      : !probes.some((command) => found(command[0]!) && probe(command)),
  );
}

function succeeds([program, ...args]: readonly string[], path: string): boolean {
  const env = { ...process.env, PATH: path };
  return spawnSync(program!, args, { env, stdio: 'ignore', timeout: PROBE_BOUND_MS }).status === 0;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
