import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import type { RowIndependence } from '../batching/row-independence.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { openChannel } from './channel.ts';
import { decodeJson, decodeTensors, encodeJson, encodeTensors, type Frame, type JoinedTensor, KIND } from './frame.ts';
import type { LoadOrder, Session } from './session.ts';

/** Why a run gave no outputs. Of the three, only `failed` is due to the feeds for certain. */
export type RunFault = 'failed' | 'crashed' | 'timed-out';

/** Why a run or a load failed. */
export class RunError extends Error {
  readonly fault: RunFault;
  /** The process ended by its own fault, and was not killed from outside, as the kernel does with any process when memory runs out. */
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

/** Signals that end a process for a fault in its own code. */
const OWN_SIGNALS: readonly string[] = ['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGTRAP', 'SIGSYS'];

/** What an engine process reports of a load or a run that failed. */
export interface Failure {
  readonly message: string;
  /** `FILE_CHANGED`: a file has changed since it was listed. */
  readonly code: 'FILE_CHANGED' | undefined;
}

/** What an engine process reports of the model that it has loaded. */
export type Loaded = Pick<Session, 'signature' | 'patched' | 'external'> & {
  /** Whether rows of several requests may share a run, where the order asked for it. */
  readonly rows?: RowIndependence | undefined;
};

/** One engine process, which does one thing at a time. */
export interface Engine {
  readonly pid: number | undefined;
  /** @throws RunError `failed` with onnxruntime's text, `crashed`, or `timed-out`: the process has then been killed. */
  load(order: LoadOrder, timeoutMs?: number): Promise<Loaded>;
  /**
   * @param inputs a tensor for each input, in the order of the signature.
   * @returns a tensor for each output, in the order of the signature: views of one frame, which is the caller's.
   * @throws RunError. On `timed-out` the process has been killed.
   */
  run(inputs: readonly JoinedTensor[], timeoutMs: number): Promise<Tensor[]>;
  kill(): void;
  /** Lets the process end by itself once it is idle. */
  close(): void;
  /** Resolves when the process has ended, with how: `killed by SIGKILL`, `exit code 1`. Never rejects. */
  readonly exited: Promise<string>;
}

/**
 * Tens of gigabytes from a slow disk load in less; an open that hangs, as on a network volume that has gone, would hold
 * its engine for ever.
 */
const LOAD_TIMEOUT_MS = 600_000;

/** A timer that is later than this was late because the process was frozen (its CPU throttled): work never delays one for so long. */
const FROZEN_MS = 2000;

interface Pending {
  readonly id: number;
  resolve(frame: Frame): void;
  reject(error: RunError): void;
}

/**
 * Speaks the frame protocol with a freshly spawned engine process.
 * @param lastId one less than the id of the first exchange. Ids count up, and start again after 2^32 - 1.
 */
export function attachEngine(child: ChildProcess, lastId = 0): Engine {
  let pending: Pending | undefined;
  let timer: NodeJS.Timeout | undefined;
  let currentId = lastId;
  let gone: string | undefined;

  function settle(): Pending | undefined {
    const settled = pending;
    pending = undefined;
    clearTimeout(timer);
    return settled;
  }

  // A process that could not be started for want of file descriptors has no socket, despite the type; its error event follows.
  const socket = (child.stdio as ChildProcess['stdio'] | undefined)?.[3] as Duplex | undefined;
  const channel = socket && openChannel(socket, receive);
  // A write to an engine that has just ended fails here; its exit event has the reason.
  socket?.on('error', () => {});

  function receive(frame: Frame): void {
    // An answer to another exchange: any later one of this process could go to the wrong request.
    if (frame.id !== pending?.id) child.kill('SIGKILL');
    else if (frame.kind === KIND.failure) {
      const { message, code } = decodeJson(frame) as Failure;
      settle()?.reject(new RunError('failed', message, { code }));
    } else {
      settle()?.resolve(frame);
    }
  }

  const exited = new Promise<string>((resolve) => {
    const end = (how: string, ofItself = false): void => {
      if (gone !== undefined) return;
      gone = how;
      settle()?.reject(new RunError('crashed', `the engine process ended: ${how}`, { ofItself }));
      resolve(how);
    };
    child.once('exit', (code, signal) => {
      if (signal === null) end(`exit code ${code}`, true);
      else end(`killed by ${signal}`, OWN_SIGNALS.includes(signal));
    });
    child.once('error', (error) => end(`could not start: ${error.message}`));
    // A prespawned process may have ended before it was attached. One that could not start has no pid; its error event, if it
    // is still to come, has the reason.
    const early = child.exitCode ?? child.signalCode;
    if (early !== null) end(`ended early: ${early}`);
    else if (child.pid === undefined) setImmediate(end, 'could not start');
  });

  function expire(what: string, timeoutMs: number): void {
    settle()?.reject(new RunError('timed-out', `the ${what} took longer than ${timeoutMs} ms`));
    child.kill('SIGKILL');
  }

  /** Starts the timeout. After a freeze, as on Cloud Run between requests, it starts again: the engine process was frozen as well. */
  function arm(what: string, timeoutMs: number): NodeJS.Timeout {
    const due = performance.now() + timeoutMs;
    return setTimeout(() => {
      if (performance.now() - due > FROZEN_MS && pending !== undefined) timer = arm(what, timeoutMs);
      else expire(what, timeoutMs);
    }, timeoutMs);
  }

  function exchange(
    what: 'load' | 'run',
    encode: (id: number) => readonly Uint8Array[],
    timeoutMs: number,
  ): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (gone !== undefined) {
        reject(new RunError('crashed', `the engine process ended: ${gone}`));
        return;
      }
      currentId = (currentId + 1) >>> 0;
      const chunks = encode(currentId);
      pending = { id: currentId, resolve, reject };
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
      const frame = await exchange('load', (id) => [encodeJson(KIND.load, id, order)], timeoutMs);
      return decodeJson(frame) as Loaded;
    },
    async run(inputs, timeoutMs) {
      return decodeTensors(await exchange('run', (id) => encodeTensors(KIND.run, id, inputs), timeoutMs));
    },
    kill: () => {
      child.kill('SIGKILL');
    },
    close: () => channel?.close(),
  };
}
