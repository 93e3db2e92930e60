import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { openChannel } from './channel.ts';
import { decodeJson, decodeTensors, encodeJson, encodeTensors, type Frame, type JoinedTensor, KIND } from './frame.ts';
import type { LoadOrder, Session } from './session.ts';
import type { Tensor } from './tensor.ts';

/** Why a run came to nothing. Of all three only `failed` says something of the feeds alone. */
export type RunFault = 'failed' | 'crashed' | 'timed-out';

/** What a run, or a load, ends with when it gives no tensors. */
export class RunError extends Error {
  readonly fault: RunFault;
  /** Why a load failed, where that is told apart. */
  readonly code: Failure['code'];
  constructor(fault: RunFault, message: string, code?: Failure['code']) {
    super(message);
    this.name = 'RunError';
    this.fault = fault;
    this.code = code;
  }
}

/** What an engine says of a load or a run that failed. */
export interface Failure {
  readonly message: string;
  /** `FILE_CHANGED`: a file is no longer the one that was listed. */
  readonly code: 'FILE_CHANGED' | undefined;
}

/** What an engine tells of the model it has loaded. */
export type Loaded = Pick<Session, 'signature' | 'patched' | 'external'>;

/** One engine process, which does one thing at a time. */
export interface Engine {
  readonly pid: number | undefined;
  /** @throws RunError `failed` with onnxruntime's text, `crashed`, or `timed-out`: the process has then been killed. */
  load(order: LoadOrder, timeoutMs?: number): Promise<Loaded>;
  /** @throws RunError. On `timed-out` the process has been killed. */
  run(inputs: readonly JoinedTensor[], timeoutMs: number): Promise<Tensor[]>;
  kill(): void;
  /** Lets the process end by itself once it is idle. */
  close(): void;
  /** Settles, never rejects, when the process is gone: with a phrase such as `killed by SIGKILL`. */
  readonly exited: Promise<string>;
}

/**
 * Tens of gigabytes from a slow disk load in less; an open that hangs, as on a network volume that has gone, would hold
 * its engine for ever.
 */
const LOAD_TIMEOUT_MS = 600_000;

/** A timer that is this late was not kept waiting by work. */
const FROZEN_MS = 2000;

interface Pending {
  resolve(frame: Frame): void;
  reject(error: RunError): void;
}

/** Speaks the frame protocol with a freshly spawned engine process. */
export function attachEngine(child: ChildProcess): Engine {
  let pending: Pending | undefined;
  let timer: NodeJS.Timeout | undefined;
  let nextId = 1;
  let gone: string | undefined;

  function settle(): Pending | undefined {
    const settled = pending;
    pending = undefined;
    clearTimeout(timer);
    return settled;
  }

  // A process for whose socket there was no file descriptor has none, whatever its type says; its error is on the way.
  const socket = (child.stdio as ChildProcess['stdio'] | undefined)?.[3] as Duplex | undefined;
  const channel = socket && openChannel(socket, receive);
  // A write to an engine that has just died fails here; its exit tells the same, with the reason.
  socket?.on('error', () => {});

  function receive(frame: Frame): void {
    if (frame.kind === KIND.failure) {
      const { message, code } = decodeJson(frame) as Failure;
      settle()?.reject(new RunError('failed', message, code));
    } else {
      settle()?.resolve(frame);
    }
  }

  const exited = new Promise<string>((resolve) => {
    const end = (how: string): void => {
      if (gone !== undefined) return;
      gone = how;
      settle()?.reject(new RunError('crashed', `the engine process ended: ${how}`));
      resolve(how);
    };
    child.once('exit', (code, signal) => end(signal ? `killed by ${signal}` : `exit code ${code}`));
    child.once('error', (error) => end(`could not start: ${error.message}`));
    // A prespawned process may have ended before anyone took it. One that could not start has no pid; where its error is
    // still to come it says why.
    const early = child.exitCode ?? child.signalCode;
    if (early !== null) end(`ended early: ${early}`);
    else if (child.pid === undefined) setImmediate(end, 'could not start');
  });

  function expire(what: string, timeoutMs: number): void {
    settle()?.reject(new RunError('timed-out', `the ${what} took longer than ${timeoutMs} ms`));
    child.kill('SIGKILL');
  }

  /** A process whose CPU was withdrawn meanwhile, as on Cloud Run between requests, finds its timers late: its engines stood still too. */
  function arm(what: string, timeoutMs: number): NodeJS.Timeout {
    const due = performance.now() + timeoutMs;
    return setTimeout(() => {
      if (performance.now() - due > FROZEN_MS && pending !== undefined) timer = arm(what, timeoutMs);
      else expire(what, timeoutMs);
    }, timeoutMs);
  }

  function exchange(what: 'load' | 'run', chunks: readonly Uint8Array[], timeoutMs: number): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (gone !== undefined) {
        reject(new RunError('crashed', `the engine process ended: ${gone}`));
        return;
      }
      pending = { resolve, reject };
      channel?.send(chunks);
      timer = arm(what, timeoutMs);
    });
  }

  return {
    get pid() {
      return child.pid;
    },
    exited,
    async load(order, timeoutMs = LOAD_TIMEOUT_MS) {
      const frame = await exchange('load', [encodeJson(KIND.load, nextId++, order)], timeoutMs);
      return decodeJson(frame) as Loaded;
    },
    async run(inputs, timeoutMs) {
      return decodeTensors(await exchange('run', encodeTensors(KIND.run, nextId++, inputs), timeoutMs));
    },
    kill: () => {
      child.kill('SIGKILL');
    },
    close: () => channel?.close(),
  };
}
