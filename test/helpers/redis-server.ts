import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { createClient, RESP_TYPES } from '@redis/client';
import { freePort } from '../../scripts/server-process.ts';
import { kill as killPid } from './descendants.ts';

export interface RedisOptions {
  /** As in Redis's own configuration: `8mb`. It evicts nothing. */
  readonly maxMemory?: string;
  readonly password?: string;
  /** Paths of PEM files; the server then speaks TLS alone. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A real `redis-server` on a loopback port of its own, which keeps nothing on disk. */
export interface RedisServer {
  /** With the password, where there is one. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** SIGSTOP: the system still takes connections for it, and nothing is answered. */
  pause(): void;
  resume(): void;
  /** SIGKILL, without waiting for the end. */
  kill(): void;
  /** Ends it, if it still runs, and starts it anew on the same port, empty. */
  restart(): Promise<void>;
  /** Sends a command as it stands; strings in the reply are Buffers. */
  command(...args: readonly (string | Buffer)[]): Promise<unknown>;
  keys(): Promise<string[]>;
  flush(): Promise<void>;
  /** Kills it and waits for its end. */
  close(): Promise<void>;
}

const living = new Set<number>();
process.on('exit', () => living.forEach(killPid));

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { password, tls } = options;
  const port = await freePort();
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  const url = `${tls === undefined ? 'redis' : 'rediss'}://${secret}127.0.0.1:${port}`;
  let child = await launch(port, options);

  async function command(...args: readonly (string | Buffer)[]): Promise<unknown> {
    const client = createClient({
      url,
      RESP: 2,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
      socket: { reconnectStrategy: false, ...(tls !== undefined && { rejectUnauthorized: false }) },
    });
    client.on('error', () => {});
    await client.connect();
    try {
      return await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  }

  async function close(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  return {
    url,
    port,
    get pid() {
      return child.pid!;
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    kill: () => void child.kill('SIGKILL'),
    async restart() {
      await close();
      child = await launch(port, options);
    },
    command,
    keys: async () => ((await command('KEYS', '*')) as Buffer[]).map(String).sort(),
    flush: async () => void (await command('FLUSHALL')),
    close,
  };
}

/** Starts the process, and waits until it says that it takes connections. */
async function launch(port: number, { maxMemory, password, tls }: RedisOptions): Promise<ChildProcess> {
  const listening =
    tls === undefined
      ? ['--port', String(port)]
      : ['--port', '0', '--tls-port', String(port), '--tls-cert-file', tls.cert, '--tls-key-file', tls.key];
  const args = [
    ...listening,
    ...(tls === undefined ? [] : ['--tls-ca-cert-file', tls.cert, '--tls-auth-clients', 'no']),
    ...(password === undefined ? [] : ['--requirepass', password]),
    ...(maxMemory === undefined ? [] : ['--maxmemory', maxMemory, '--maxmemory-policy', 'noeviction']),
    ...['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
  ];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const { pid } = child;
  if (pid !== undefined) {
    living.add(pid);
    child.once('exit', () => living.delete(pid));
  }
  const said: string[] = [];
  const lines = createInterface({ input: child.stdout! });
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      if (line.includes('Ready to accept connections')) resolve();
      said.push(line);
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}:\n${said.join('\n')}`)));
  });
  return child;
}
