import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findMissingKubectl } from './deploy-check/kustomize.ts';

/** A program of the system that a test runs. */
interface SystemProgram {
  readonly name: string;
  /** How to install it on Debian and Ubuntu, or an address that describes it. */
  readonly install: string;
  /** The names of the tests that need it. */
  readonly tests: readonly string[];
  /** Commands of which one must exit with 0: a client may lack its daemon, and a program may be a plugin of another. */
  readonly probes?: readonly (readonly string[])[];
  /** Whether the program that was found can be used: it may be too old. */
  readonly isUsable?: () => boolean;
  /** Its tests are skipped without it, also in CI. */
  readonly optional?: boolean;
}

const apt = (name: string): string => `apt-get install -y ${name}`;

/** The programs that the system tests need. */
export const SYSTEM_PROGRAMS: readonly SystemProgram[] = [
  {
    name: 'chromium',
    install: apt('chromium'),
    tests: ['browser-client', 'cli-loadtest', 'page', 'page-kinds', 'page-media', 'site'],
  },
  { name: 'curl', install: apt('curl'), tests: ['examples', 'page', 'quick-start', 'readme'] },
  { name: 'git', install: apt('git'), tests: ['cloud-run', 'functions-source'] },
  {
    name: 'gcloud',
    install: 'https://cloud.google.com/sdk/docs/install',
    tests: ['cloud-build', 'cloud-run', 'init'],
    // Only in Google's repository, which not every machine can reach.
    optional: true,
  },
  {
    name: 'terraform',
    install: 'https://developer.hashicorp.com/terraform/install (1.11 or newer)',
    tests: ['terraform'],
    // Only in HashiCorp's repository. test/terraform-module.test.ts checks the module without it.
    optional: true,
  },
  { name: 'openssl', install: apt('openssl'), tests: ['redis-faults'] },
  { name: 'python3', install: apt('python3'), tests: ['examples', 'page', 'python-client', 'python-faults', 'readme'] },
  {
    name: 'redis-server',
    install: apt('redis-server'),
    tests: ['bucket', 'connections', 'redis-cache', 'redis-faults'],
  },
  { name: 'strace', install: apt('strace'), tests: ['connections'] },
  // Only for comparison: .ci/run installs it.
  { name: 'wrk', install: apt('wrk'), tests: ['cli-loadtest-wrk'], optional: true },
  {
    name: 'kubectl',
    install: 'https://kubernetes.io/docs/tasks/tools/ (1.27 or newer; Debian 13: apt-get install kubernetes-client)',
    tests: ['kustomize', 'releases'],
    isUsable: () => findMissingKubectl() === undefined,
  },
  {
    name: 'docker',
    install: `${apt('docker.io')}, and have its daemon run`,
    tests: [
      'image',
      'image-contract',
      'image-memory',
      'image-own',
      'image-running',
      'cloud-build-image',
      'compose',
      'readme',
    ],
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

/** Whether a command exits with 0. */
type Probe = (command: readonly string[]) => boolean;

const PROBE_BOUND_MS = 20_000;

/** The programs that cannot be used. @param path the `PATH` that is searched. */
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
