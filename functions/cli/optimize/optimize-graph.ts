import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { startEngine } from '../../engine/process/spawn.ts';
import { ServingError } from '../../errors.ts';
import type { OptimizeOrder, OptimizeReply } from './order.ts';

const source = import.meta.url.endsWith('.ts');
const ENTRY = fileURLToPath(new URL(source ? './optimizer.ts' : './optimizer.js', import.meta.url));

/**
 * Lets onnxruntime optimise a model, in a process of its own.
 * @throws ServingError `MODEL_FAILED` with onnxruntime's reason, or with how the process ended; the reason of the signal
 */
export async function optimizeGraph(order: OptimizeOrder, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const child = startEngine(ENTRY);
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    if (child.pid === undefined) throw failed(order, 'no process could be started: is there enough memory?');
    const exit = once(child, 'exit');
    const socket = child.stdio[3] as Duplex;
    // The process may end before it has read the order.
    socket.on('error', () => {});
    socket.end(JSON.stringify(order));
    const answer = await text(socket).catch(() => '');
    const [code, endedBy] = (await exit) as [number | null, NodeJS.Signals | null];
    signal.throwIfAborted();
    if (answer === '') {
      const how = endedBy === null ? `with exit code ${code}` : `by ${endedBy}`;
      throw failed(order, `the process that optimises it ended ${how}: is there enough memory?`);
    }
    const { fault } = JSON.parse(answer) as OptimizeReply;
    if (fault !== undefined) throw failed(order, fault);
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
  }
}

const failed = ({ path }: OptimizeOrder, reason: string): ServingError =>
  new ServingError('MODEL_FAILED', reason.startsWith(path) ? reason : `${path}: ${reason}`);
