import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type ListeningServer, listening, watchServer } from '../../scripts/server-process.ts';
import { descendants } from './descendants.ts';
import type { Env } from './hosts.ts';

/** Every call with which a process can name a peer: a connection, or a datagram, such as a DNS query. */
const CALLS = 'connect,sendto,sendmsg,sendmmsg';

/** A server under strace, which sees the calls of all its processes and threads from their first to their last. */
interface TracedServer extends ListeningServer {
  /** Ends it with SIGTERM. @returns the peers that its processes named, each once: `127.0.0.1:6379`, `[::1]:53`, or the path of a Unix socket. */
  peers(): Promise<string[]>;
}

/** Starts a server, and waits until it is ready: on Linux, with strace. @param args those of node. @throws Error with its output if it does not become ready */
export async function startTraced(args: readonly string[], env: Env): Promise<TracedServer> {
  const folder = mkdtempSync(join(tmpdir(), 'traced-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'calls');
  const port = await freePort();
  const { PATH = '', HOME = '' } = process.env;
  const options = ['-f', '--seccomp-bpf', '-qq', '-s', '256', '-e', `trace=${CALLS}`, '-o', file];
  const child = spawn('strace', [...options, process.execPath, ...args], {
    // With a folder of its own for temporary files: in a shared one it asks the servers beside it whether they live.
    env: { PATH, HOME, TMPDIR: folder, NODE_ENV: 'production', PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = (): number | undefined => (child.pid === undefined ? undefined : descendants(child.pid)[0]);
  const signal = (which: NodeJS.Signals): void => {
    const traced = pid();
    if (traced !== undefined) process.kill(traced, which);
  };
  const watched = watchServer(child, { pid, signal });
  const answers = async (path: string): Promise<number | undefined> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
    await response?.arrayBuffer();
    return response?.ok ? port : undefined;
  };
  const server = await listening(watched, () => answers('/ready'));
  return {
    ...server,
    peers: async () => {
      await server.stop();
      return peersOf(readFileSync(file, 'utf8'));
    },
  };
}

/** The peers in strace's output. Netlink, the kernel's own, is none. */
export function peersOf(calls: string): string[] {
  const found = Array.from(calls.matchAll(/\{sa_family=(AF_\w+)(?:, ([^{}]*))?\}/g), ([, family, rest = '']) => {
    const [, port] = /port=htons\((\d+)\)/.exec(rest) ?? [];
    if (family === 'AF_INET') return `${/inet_addr\("([^"]+)"\)/.exec(rest)?.[1]}:${port}`;
    if (family === 'AF_INET6') return `[${/inet_pton\(AF_INET6, "([^"]+)"/.exec(rest)?.[1]}]:${port}`;
    return family === 'AF_NETLINK' ? undefined : (/sun_path=@?"([^"]+)"/.exec(rest)?.[1] ?? `${family} ${rest}`);
  });
  return [...new Set(found.filter((peer) => peer !== undefined))].sort();
}
