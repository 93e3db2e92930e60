import type { CacheEvent, CacheFault } from './cache-event.ts';

/** `undefined` is no reply of Redis's: it stands for a command that had no answer. */
export type Reply = Buffer | string | number | null | readonly Reply[];
export type Command = readonly (string | Buffer)[];

/** One connection, ready for commands. It ends with the signal that it was opened with. */
export interface Connection {
  /** @throws RefusedError where Redis answers with an error, any other Error where the connection is no good. */
  send(command: Command): Promise<Reply>;
  isAlive(): boolean;
}

/** An error that Redis answered: the connection is as good as before. */
export class RefusedError extends Error {}

export type Connect = (signal: AbortSignal) => Promise<Connection>;

export interface LinkOptions {
  /** Brings the library, which may take its time on a busy start, and gives what connects, which may not. */
  load(): Promise<Connect>;
  /** What Redis is called in the log. */
  readonly where: string;
  /** The longest that connecting may take, and then each command. */
  readonly commandMs: number;
  /** How long Redis is left alone after faults. */
  readonly restMs: number;
  readonly onEvent: (event: CacheEvent) => void;
}

/** Commands whose faults are no errors: whoever asks always has another place to go to. */
export interface Link {
  /** A command that needs no new memory in Redis. `undefined` where it had no answer; why is told to `onEvent`. */
  ask(command: Command): Promise<Reply | undefined>;
  /** One that does: Redis may have no room for it and still answer everything else. */
  store(command: Command): Promise<Reply | undefined>;
  /** Whether all commands are answered `undefined` at once for the time being. */
  isLeftAlone(): boolean;
  /** Whether those of `store` are. */
  isClosedToStores(): boolean;
  /** Ends the connection at once. */
  close(): void;
}

/** Faults in a row after which Redis is left alone. */
const FAULTS = 2;

interface Opened {
  readonly stop: AbortController;
  readonly connection: Connection;
}

export function createLink({ load, where, commandMs, restMs, onEvent }: LinkOptions): Link {
  const all = createFuse(restMs);
  const stores = createFuse(restMs);
  let opening: Promise<Opened | undefined> | undefined;
  let closed = false;
  let current: AbortController | undefined;

  /** All that ask at once share a connection, and the failure to get one counts once for all of them. */
  async function open(): Promise<Opened | undefined> {
    const before = opening;
    const opened = await before;
    if (opened?.connection.isAlive()) return opened;
    if (closed || all.isBlown()) return undefined;
    if (opening === before) opening = start();
    return opening;
  }

  async function start(): Promise<Opened | undefined> {
    const stop = new AbortController();
    current = stop;
    try {
      const connect = await load();
      const connection = await bounded(connect(stop.signal), commandMs, 'no connection');
      if (!closed) return { stop, connection };
    } catch (error) {
      tell(error, 'unreachable', [all]);
    }
    stop.abort();
    return undefined;
  }

  async function send(command: Command, fuses: readonly Fuse[]): Promise<Reply | undefined> {
    if (closed || fuses.some((fuse) => fuse.isBlown())) return undefined;
    const opened = await open();
    if (opened === undefined) return undefined;
    try {
      const reply = await bounded(opened.connection.send(command), commandMs, `no answer to ${command[0]}`);
      for (const fuse of fuses) fuse.mend();
      return reply;
    } catch (error) {
      if (error instanceof RefusedError) {
        // Somebody put another type of value there: that is an answer.
        if (error.message.startsWith('WRONGTYPE')) return 'WRONGTYPE';
        tell(error, 'refused', [fuses.at(-1)!]);
      } else if (!opened.stop.signal.aborted) {
        // What else is under way on this connection ends with it, and is the same fault.
        opened.stop.abort();
        tell(error, 'broken', fuses);
      }
      return undefined;
    }
  }

  function tell(error: unknown, otherwise: CacheFault, fuses: readonly Fuse[]): void {
    if (closed) return;
    const blown = fuses.filter((fuse) => fuse.blow());
    const rest = `; ${blown.includes(all) ? 'left alone' : 'nothing is stored'} for ${restMs / 1_000} s`;
    const { message, code } = error as NodeJS.ErrnoException;
    // Where a name has several addresses, the error for all of them has a code and no message.
    const reason = `Redis at ${where}: ${message || code}${blown.length > 0 ? rest : ''}`;
    onEvent({ kind: 'fault', fault: classify(error as Error, otherwise), reason });
  }

  return {
    ask: (command) => send(command, [all]),
    store: (command) => send(command, [all, stores]),
    isLeftAlone: () => closed || all.isBlown(),
    isClosedToStores: () => closed || all.isBlown() || stores.isBlown(),
    close() {
      closed = true;
      current?.abort();
    },
  };
}

interface Fuse {
  isBlown(): boolean;
  /** One more fault; whether it was the one too many. */
  blow(): boolean;
  mend(): void;
}

/** After its rest the next command tries again, and its first fault is enough. */
function createFuse(restMs: number): Fuse {
  let faults = 0;
  let until = 0;
  return {
    isBlown: () => performance.now() < until,
    blow() {
      faults += 1;
      if (faults < FAULTS || performance.now() < until) return false;
      until = performance.now() + restMs;
      return true;
    },
    mend() {
      faults = 0;
    },
  };
}

class TimeoutError extends Error {}

async function bounded<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError(`${what} within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}

const TLS_CODE = /^ERR_(TLS|SSL|OSSL)_|CERT|SIGNATURE|EPROTO/;

function classify(error: Error, otherwise: CacheFault): CacheFault {
  if (error instanceof TimeoutError) return 'timeout';
  if (error instanceof RefusedError) {
    if (/\bOOM\b/.test(error.message)) return 'full';
    if (/\bREADONLY\b/.test(error.message)) return 'readonly';
    return /AUTH|WRONGPASS|NOPERM/.test(error.message) ? 'denied' : 'refused';
  }
  const { code = '' } = error as NodeJS.ErrnoException;
  return TLS_CODE.test(code) || /\bTLS\b/.test(error.message) ? 'tls' : otherwise;
}
