import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, globSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { freePort, type ListeningServer, listening, watchServer } from '../../scripts/server-process.ts';
import { descendants } from './descendants.ts';
import type { Env } from './hosts.ts';
import { until } from './until.ts';

/** What the tests build of `Dockerfile.ml`, and run. */
export const IMAGE = 'onnx-cloud-run-test:latest';
export const ROOT = join(import.meta.dirname, '../..');
/** Those that name a model of the test's, on this machine. */
const MODEL_SETTINGS = ['MODEL_URI', 'AIP_STORAGE_URI'];
const BUILD_BOUND_MS = 600_000;

/** As little as the image claims to need. */
export const HARDENED = [
  ...['--read-only', '--tmpfs', '/tmp'],
  ...['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
  ...['--memory', '512m', '--cpus', '1'],
];

/** Runs `docker`, and gives what it wrote to stdout. */
export function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** Builds an image of `Dockerfile.ml`. @throws Error as `buildFolder` does. */
export function buildImage(tag = IMAGE, args: readonly string[] = [], env: Env = {}, folder = ROOT): void {
  buildFolder(folder, tag, ['-f', 'Dockerfile.ml', ...args], env);
}

/**
 * Builds an image of a folder: with the host's network, so that it reaches whatever registry the machine is set up for.
 * @throws Error with the end of what the build wrote.
 */
export function buildFolder(folder: string, tag: string, args: readonly string[] = [], env: Env = {}): void {
  const options = { cwd: folder, env: { ...process.env, ...env }, stdio: 'pipe', timeout: BUILD_BOUND_MS } as const;
  try {
    execFileSync('docker', ['build', '--network=host', '-t', tag, ...args, '.'], options);
  } catch (error) {
    const { stdout, stderr } = error as { stdout: Buffer; stderr: Buffer };
    throw new Error(`docker build failed:\n${String(stdout).slice(-3000)}\n${String(stderr).slice(-3000)}`);
  }
}

/** The parts of this repository that the build of the image reads. */
const CONTEXT = [
  '.dockerignore',
  '.npmrc',
  'Dockerfile.ml',
  'LICENSE',
  'functions',
  'models',
  'package-lock.json',
  'package.json',
  'scripts',
];

/** Copies what the build of the image reads to a folder that a test may change: other builds read this repository meanwhile. */
export function copyContext(folder: string): void {
  for (const part of CONTEXT)
    cpSync(join(ROOT, part), join(folder, part), { recursive: true, preserveTimestamps: true });
}

/** Whether `docker build` works at all with these variables: a client may lack a builder. */
export function canBuild(env: Env): boolean {
  const options = { input: 'FROM scratch\nLABEL probe=1\n', env: { ...process.env, ...env }, stdio: 'pipe' } as const;
  return spawnSync('docker', ['build', '-q', '-'], options).status === 0;
}

/**
 * Runs the image, hardened, on a port of loopback that names its container, and waits until it takes connections.
 * @param more options of `docker run`, instead of those of HARDENED
 */
export async function startImage(
  env: Env,
  image = IMAGE,
  more: readonly string[] = [],
): Promise<ListeningServer & { engines(): number[] }> {
  const port = await freePort();
  const name = `ml-model-test-${port}`;
  const variables = Object.entries(env).flatMap(([key, value]) =>
    MODEL_SETTINGS.includes(key) && existsSync(value) ? mountModel(key, value) : ['-e', `${key}=${value}`],
  );
  const args = ['run', '--rm', '--init=false', '--name', name, '-p', `127.0.0.1:${port}:8080`, ...HARDENED, ...more];
  const child = spawn('docker', [...args, ...variables, image], { stdio: ['ignore', 'pipe', 'pipe'] });
  const signal = (which: NodeJS.Signals): void => signalContainer(name, which);
  const server = await listening(watchServer(child, { pid: () => containerPid(name), signal }), () => answers(port));
  const pid = await until(() => containerPid(name), 'the process of the container');
  return { ...server, pid, engines: () => descendants(pid) };
}

/** A container that is already gone is what its owner wanted. */
function signalContainer(name: string, signal: NodeJS.Signals): void {
  try {
    docker('kill', '--signal', signal, name);
  } catch {
    // Its exit tells.
  }
}

async function answers(port: number): Promise<number | undefined> {
  const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
  await response?.arrayBuffer();
  return response === undefined ? undefined : port;
}

/** The model of a test, below its own name, as it names the model. The image's user is none that may read the test's folders. */
function mountModel(setting: string, uri: string): string[] {
  const file = statSync(uri).isFile();
  const folder = file ? dirname(uri) : uri;
  for (const path of ['', ...globSync('**/*', { cwd: folder })]) {
    const each = join(folder, path);
    chmodSync(each, statSync(each).isDirectory() ? 0o755 : 0o644);
  }
  const mounted = `/srv/${basename(folder)}`;
  const inside = file ? `${mounted}/${basename(uri)}` : mounted;
  return ['-v', `${folder}:${mounted}:ro`, '-e', `${setting}=${inside}`];
}

/** The process of a running container as this machine numbers it; undefined before there is one. */
function containerPid(name: string): number | undefined {
  try {
    return Number(docker('inspect', '--format', '{{.State.Pid}}', name)) || undefined;
  } catch {
    return undefined;
  }
}
