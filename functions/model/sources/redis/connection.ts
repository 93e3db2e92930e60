/** A reply of Redis, in RESP 2. */
export type Reply = Buffer | string | number | null | readonly Reply[];
/** A command of Redis, with its arguments. */
export type Command = readonly (string | Buffer)[];

/** One connected client. It ends when the signal with which it was connected is aborted. */
export interface Client {
  /** @throws RefusedError if Redis replies with an error; any other Error if the connection can no longer be used. */
  send(command: Command): Promise<Reply>;
  isAlive(): boolean;
}

/** An error in a reply of Redis: the connection can still be used. */
export class RefusedError extends Error {}

type Connect = (signal: AbortSignal) => Promise<Client>;

interface ConnectionOptions {
  /** Loads the library, which may take long on a busy start. @returns the function that connects */
  load(): Promise<Connect>;
  /** Redis's host and port, for the log. */
  readonly address: string;
  /** Milliseconds that connecting, and each command, may take. */
  readonly commandMs: number;
  /** Milliseconds for which the circuit breaker stays open: see {@link createCircuitBreaker}. */
  readonly openMs: number;
  /** Called once for each failure that the circuit breaker counts. `reason` is a sentence for the log. */
  readonly onFault: (reason: string) => void;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/**
 * Sends commands to Redis, with a circuit breaker. Failures do not throw: the caller reads from the source instead.
 */
export interface RedisConnection {
  /** Connects unless there is a connection. @returns false if that failed, or if the circuit breaker is open. */
  connect(): Promise<boolean>;
  /** @returns the reply; `WRONGTYPE` for a key of another type; undefined without a reply, which is reported to `onFault`. */
  send(command: Command): Promise<Reply | undefined>;
  /** Counts a failure that is not an error of a command. @param startedAt when the command was sent, by `now` */
  recordFailure(message: string, startedAt: number): void;
  /** Ends the connection at once. */
  close(): void;
}

interface Connected {
  readonly stop: AbortController;
  readonly client: Client;
}

/** Creates a connection. It connects at the first command, and again after a failure. */
export function createRedisConnection(options: ConnectionOptions): RedisConnection {
  const { load, address, commandMs, openMs, onFault, now = () => performance.now() } = options;
  const breaker = createCircuitBreaker(openMs, now);
  let connecting: Promise<Connected | undefined> | undefined;
  let closed = false;
  let latest: AbortController | undefined;

  /** Commands that are sent at the same time share a connection, or its failure. */
  async function getConnected(): Promise<Connected | undefined> {
    const before = connecting;
    const connected = await before;
    if (closed || breaker.isOpen()) return undefined;
    if (connected?.client.isAlive()) return connected;
    if (connecting === before) connecting = reconnect();
    return connecting;
  }

  async function reconnect(): Promise<Connected | undefined> {
    const stop = new AbortController();
    latest = stop;
    const startedAt = now();
    try {
      const connect = await load();
      const client = await withTimeout(connect(stop.signal), commandMs, 'no connection');
      if (!closed) return { stop, client };
    } catch (error) {
      record(describe(error), startedAt);
    }
    stop.abort();
    return undefined;
  }

  async function send(command: Command): Promise<Reply | undefined> {
    const connected = await getConnected();
    if (connected === undefined) return undefined;
    const startedAt = now();
    try {
      return await withTimeout(connected.client.send(command), commandMs, `no reply to ${command[0]}`);
    } catch (error) {
      if (!(error instanceof RefusedError)) connected.stop.abort();
      else if (error.message.startsWith('WRONGTYPE')) return 'WRONGTYPE';
      record(describe(error), startedAt);
      return undefined;
    }
  }

  function record(message: string, startedAt: number): void {
    if (closed || !breaker.recordFailure(startedAt)) return;
    const consequence = breaker.isOpen() ? `; Redis is not used for ${openMs / 1_000} s` : '';
    onFault(`Redis at ${address}: ${message}${consequence}`);
  }

  return {
    connect: async () => (await getConnected()) !== undefined,
    send,
    recordFailure: record,
    close() {
      closed = true;
      latest?.abort();
    },
  };
}

/** While it is open, Redis is not used. */
interface CircuitBreaker {
  /**
   * @param startedAt when the failed command was sent. A command that was sent before the last counted failure is part of that
   * failure: a connection that breaks fails all commands that were sent on it.
   * @returns whether the failure was counted
   */
  recordFailure(startedAt: number): boolean;
  isOpen(): boolean;
}

/**
 * Creates a circuit breaker that opens for `openMs` at the second failure within `openMs`. Successes between them change nothing:
 * a Redis that replies to every other command would otherwise cost a load a timeout for every other chunk. So failures take at most
 * two timeouts in `openMs`.
 */
export function createCircuitBreaker(openMs: number, now: () => number): CircuitBreaker {
  let failedAt = Number.NEGATIVE_INFINITY;
  let openUntil = Number.NEGATIVE_INFINITY;
  return {
    recordFailure(startedAt) {
      if (startedAt < failedAt) return false;
      const at = now();
      if (at - failedAt < openMs) openUntil = at + openMs;
      failedAt = at;
      return true;
    },
    isOpen: () => now() < openUntil,
  };
}

/** Loads Redis's client. @returns a function that connects once: the client does not reconnect by itself. */
export async function loadClient(url: string, ca: string | undefined, connectTimeout: number): Promise<Connect> {
  // The default export, because a bundler gives a CommonJS module no named exports here.
  const { default: redis } = await import('@redis/client');
  const { createClient, ErrorReply, RESP_TYPES } = redis;

  return async (signal) => {
    const client = createClient({
      url,
      // RESP 2, without a greeting that older servers and proxies do not support.
      RESP: 2,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      disableOfflineQueue: true,
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
      // The client closes a socket only when it is connected: before that, the signal does.
      socket: { connectTimeout, reconnectStrategy: false, signal, ...(ca !== undefined && { ca }) },
    });
    let cause: unknown;
    const end = (): void => client.destroy();
    client.on('error', (error) => {
      cause ??= error;
      // After bytes that are not a reply the client would continue, and assign replies to the wrong commands.
      end();
    });
    signal.addEventListener('abort', end, { once: true });

    function explain(error: unknown): unknown {
      if (error instanceof ErrorReply) return new RefusedError(error.message);
      return cause ?? error;
    }

    try {
      await client.connect();
    } catch (error) {
      end();
      throw explain(error);
    }
    return {
      isAlive: () => client.isReady,
      async send(command) {
        try {
          return (await client.sendCommand(command)) as unknown as Reply;
        } catch (error) {
          throw explain(error);
        }
      },
    };
  };
}

async function withTimeout<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** The message of an error. If a name has several addresses, the error for all of them has a code and no message. */
function describe(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return message || String(code);
}
