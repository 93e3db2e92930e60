import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import type { RowIndependence } from '../../batching/row-independence.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { openChannel } from './channel.ts';
import { decodeJson, decodeTensors, encodeJson, encodeTensors, type Frame, type JoinedTensor, KIND } from './frame.ts';
import type { Session } from './session.ts';

/** Why a run gave no outputs. Of the three, only `failed` is due to the feeds for certain. */
export type RunFault = 'failed' | 'crashed' | 'timed-out';

/** Why a run or a load failed. */
export class RunError extends Error {
  readonly fault: RunFault;
  /** The process ended by a fault of its own. False if it was killed from outside, for example by the kernel for want of memory. */
  readonly ofItself: boolean;
  /** Why a load failed; undefined for a reason that has no code. */
  readonly code: Failure['code'];
  constructor(fault: RunFault, message: string, details: Partial<Pick<RunError, 'ofItself' | 'code'>> = {}) {
    super(message);
    this.name = 'RunError';
    this.fault = fault;
    this.ofItself = details.ofItself ?? false;
    this.code = details.code;
  }
}

/** Signals that a process gets for a fault in its own code. Not SIGBUS: it is for a mapped file that was cut short. */
const OWN_SIGNALS: readonly string[] = ['SIGSEGV', 'SIGABRT', 'SIGFPE', 'SIGILL', 'SIGTRAP', 'SIGSYS'];

/** The body of a failure frame: why a load or a run failed. */
export interface Failure {
  readonly message: string;
  /** `FILE_CHANGED`: a file has changed since it was listed. */
  readonly code: 'FILE_CHANGED' | undefined;
}

/** The body of the frame that an engine process sends when it has loaded a model. */
export type Loaded = Pick<Session, 'signature' | 'patched' | 'external' | 'weights'> & {
  /** Whether rows of several requests may share a run. Undefined unless the order has `findsRowIndependence`. */
  readonly rows?: RowIndependence | undefined;
};

/** One engine process. It executes one load or run at a time: call the next when the last has settled. */
export interface Engine {
  readonly pid: number | undefined;
  /** @throws RunError `failed` with onnxruntime's text, `crashed`, or `timed-out`: the process has then been killed. */
  load(order: object, timeoutMs?: number): Promise<Loaded>;
  /**
   * @param inputs a tensor for each input, in the order of the signature.
   * @returns a tensor for each output, in the order of the signature: views of one frame, whose memory the caller owns.
   * @throws RunError. On `timed-out` the process has been killed.
   */
  run(inputs: readonly JoinedTensor[], timeoutMs: number): Promise<Tensor[]>;
  kill(): void;
  /** Closes the socket: the process exits once it is idle. */
  close(): void;
  /** Resolves with the reason when the process has ended: `killed by SIGKILL`, `exit code 1`. Never rejects. */
  readonly exited: Promise<string>;
}

/**
 * Ten minutes: tens of gigabytes load from a slow disk in less. Without a limit, an open that hangs, as on a lost network
 * volume, would block its engine for ever.
 */
const LOAD_TIMEOUT_MS = 600_000;

/** A timer later than this means that the process was frozen (CPU throttled): work does not delay a timer for so long. */
const FROZEN_MS = 2000;

interface Pending {
  readonly id: number;
  /** Reads the result. @throws Error if the frame is not the result */
  accept(frame: Frame): void;
  reject(error: RunError): void;
}

/**
 * Starts a timeout. After a freeze, as on Cloud Run between requests, it starts again: the engine process was frozen as well.
 * @returns the function that stops it.
 */
function startTimer(timeoutMs: number, onExpired: () => void): () => void {
  let timer: NodeJS.Timeout;
  const start = (): void => {
    const due = performance.now() + timeoutMs;
    timer = setTimeout(() => {
      if (performance.now() - due > FROZEN_MS) start();
      else onExpired();
    }, timeoutMs);
  };
  start();
  return () => clearTimeout(timer);
}

/**
 * Watches for the end of a process.
 * @param onEnd called at least once, first with the reason. @see RunError.ofItself
 */
function watchEnd(child: ChildProcess, onEnd: (reason: string, ofItself: boolean) => void): void {
  child.once('exit', (code, signal) => {
    if (signal === null) onEnd(`exit code ${code}`, true);
    else onEnd(`killed by ${signal}`, OWN_SIGNALS.includes(signal));
  });
  child.once('error', (error) => onEnd(`could not start: ${error.message}`, false));
  // A prespawned process may have ended before this call. One that could not start has no pid; its error event may still
  // follow, with the reason.
  const early = child.exitCode ?? child.signalCode;
  if (early !== null) onEnd(`ended early: ${early}`, false);
  else if (child.pid === undefined) setImmediate(onEnd, 'could not start', false);
}

/**
 * Connects to a newly spawned engine process by the frame protocol.
 * @param lastId one less than the id of the first exchange. Ids count up, and continue with 0 after 2^32 - 1.
 */
export function attachEngine(child: ChildProcess, lastId = 0): Engine {
  let pending: Pending | undefined;
  let stopTimer = (): void => {};
  let currentId = lastId;
  let exitReason: string | undefined;
  /** Why the process was killed, if it was because of a frame. */
  let invalidity: string | undefined;

  function settle(): Pending | undefined {
    const settled = pending;
    pending = undefined;
    stopTimer();
    return settled;
  }

  // Despite the type, a process that could not start for want of file descriptors has no socket; its error event follows.
  const socket = (child.stdio as ChildProcess['stdio'] | undefined)?.[3] as Duplex | undefined;
  const channel = socket && openChannel(socket, receive, discard);
  // A write to an engine that has just ended fails here; its exit event has the reason.
  socket?.on('error', () => {});

  function receive(frame: Frame): void {
    if (frame.id !== pending?.id) throw new RangeError(`its id is ${frame.id}, that of another exchange`);
    if (socket!.writableLength > 0) throw new RangeError('it arrived before its order was written');
    if (frame.kind === KIND.failure) {
      const { message, code } = decodeJson(frame) as Failure;
      settle()?.reject(new RunError('failed', message, { code }));
    } else {
      pending.accept(frame);
    }
  }

  /** After an invalid frame, later results of this process could reach the wrong request. */
  function discard(reason: string): void {
    invalidity = `sent an invalid frame: ${reason}`;
    child.kill('SIGKILL');
  }

  const exited = new Promise<string>((resolve) => {
    watchEnd(child, (reason, ofItself) => {
      if (exitReason !== undefined) return;
      exitReason = invalidity ?? reason;
      // Ends writes of the inputs, whose memory may be freed when their rows have run elsewhere.
      channel?.close();
      settle()?.reject(new RunError('crashed', `the engine process ended: ${exitReason}`, { ofItself }));
      resolve(exitReason);
    });
  });

  function expire(what: string, timeoutMs: number): void {
    child.kill('SIGKILL');
    channel?.close();
    settle()?.reject(new RunError('timed-out', `the ${what} took longer than ${timeoutMs} ms`));
  }

  /** @param decode reads the result, a frame of `kind`. It throws if the body is invalid. */
  function exchange<T>(
    what: 'load' | 'run',
    encode: (id: number) => readonly Uint8Array[],
    kind: number,
    decode: (frame: Frame) => T,
    timeoutMs: number,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (exitReason !== undefined) {
        reject(new RunError('crashed', `the engine process ended: ${exitReason}`));
        return;
      }
      currentId = (currentId + 1) >>> 0;
      const chunks = encode(currentId);
      const accept = (frame: Frame): void => {
        if (frame.kind !== kind) throw new RangeError(`its kind is ${frame.kind}, that of a result is ${kind}`);
        const result = decode(frame);
        settle();
        resolve(result);
      };
      pending = { id: currentId, accept, reject };
      channel?.send(chunks);
      stopTimer = startTimer(timeoutMs, () => expire(what, timeoutMs));
    });
  }

  return {
    get pid() {
      return child.pid;
    },
    exited,
    load(order, timeoutMs = LOAD_TIMEOUT_MS) {
      const decode = (frame: Frame): Loaded => decodeJson(frame) as Loaded;
      return exchange('load', (id) => [encodeJson(KIND.load, id, order)], KIND.loaded, decode, timeoutMs);
    },
    run(inputs, timeoutMs) {
      return exchange('run', (id) => encodeTensors(KIND.run, id, inputs), KIND.result, decodeTensors, timeoutMs);
    },
    kill: () => {
      child.kill('SIGKILL');
    },
    close: () => channel?.close(),
  };
}
