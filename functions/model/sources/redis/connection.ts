export type Reply = Buffer | string | number | null | readonly Reply[];
export type Command = readonly (string | Buffer)[];

/** One connected client. It ends with the signal that it was connected with. */
export interface Client {
  /** @throws RefusedError where Redis replies with an error, any other Error where the connection can no longer be used. */
  send(command: Command): Promise<Reply>;
  isAlive(): boolean;
}

/** An error that Redis replied: the connection can still be used. */
export class RefusedError extends Error {}

export type Connect = (signal: AbortSignal) => Promise<Client>;

export interface ConnectionOptions {
  /** Loads the library, which may take long on a busy start, and gives what connects. */
  load(): Promise<Connect>;
  /** Redis's host and port, for the log. */
  readonly address: string;
  /** The longest that connecting may take, and then each command, in milliseconds. */
  readonly commandMs: number;
  /** How long the circuit breaker stays open, in milliseconds; see {@link createCircuitBreaker}. */
  readonly openMs: number;
  /** Called once for each failure that the circuit breaker counts. `reason` is a sentence for the log. */
  readonly onFault: (reason: string) => void;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/**
 * Sends commands to Redis, behind a circuit breaker. No failure is an exception: who sends a command always has the source to
 * read from.
 */
export interface RedisConnection {
  /** Connects where there is no connection. @returns false where that failed, or the circuit breaker is open. */
  connect(): Promise<boolean>;
  /** @returns the reply; `WRONGTYPE` for a key of another type; undefined where there was none, which is reported to `onFault`. */
  send(command: Command): Promise<Reply | undefined>;
  /** Counts a failure that the reply alone does not show. @param startedAt when the command was sent, by `now`. */
  recordFailure(message: string, startedAt: number): void;
  /** Ends the connection at once. */
  close(): void;
}

interface Connected {
  readonly stop: AbortController;
  readonly client: Client;
}

export function createRedisConnection(options: ConnectionOptions): RedisConnection {
  const { load, address, commandMs, openMs, onFault, now = () => performance.now() } = options;
  const breaker = createCircuitBreaker(openMs, now);
  let connecting: Promise<Connected | undefined> | undefined;
  let closed = false;
  let latest: AbortController | undefined;

  /** Commands that are sent at the same time share a connection, or the failure to make one. */
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
export interface CircuitBreaker {
  /**
   * @param startedAt when what failed was begun. What was begun before the failure that was counted last is part of it: a
   * connection that breaks fails all commands that were sent on it.
   * @returns whether the failure was counted.
   */
  recordFailure(startedAt: number): boolean;
  isOpen(): boolean;
}

/**
 * Opens for `openMs` with the second failure within `openMs`. Successes between them change nothing: a Redis that answers
 * every other command would otherwise cost a load a timeout for every other chunk. Failures so take at most two timeouts in
 * `openMs`.
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

/** Loads Redis's client, and gives what connects it: once, as it must not reconnect by itself. */
export async function loadClient(url: string, ca: string | undefined, connectTimeout: number): Promise<Connect> {
  // The default alone: a bundler gives a CommonJS module no named exports here.
  const { default: redis } = await import('@redis/client');
  const { createClient, ErrorReply, RESP_TYPES } = redis;

  return async (signal) => {
    const client = createClient({
      url,
      // Without a greeting that older servers, and proxies, do not know.
      RESP: 2,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      disableOfflineQueue: true,
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
      // The client closes a socket only once it is connected: before that, the signal does.
      socket: { connectTimeout, reconnectStrategy: false, signal, ...(ca !== undefined && { ca }) },
    });
    let cause: unknown;
    const end = (): void => client.destroy();
    client.on('error', (error) => {
      cause ??= error;
      // After bytes that are no reply it would go on with the next ones, and with replies for the wrong commands.
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

/** Where a name has several addresses, the error for all of them has a code and no message. */
function describe(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return message || String(code);
}
