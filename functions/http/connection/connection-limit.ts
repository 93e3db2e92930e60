import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { totalmem } from 'node:os';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { CloseReason } from '../../telemetry/metrics/metrics.ts';
import { createLogInterval } from './log-interval.ts';

interface ConnectionLimitOptions {
  readonly max: number;
  /** Whether a connection has a request in flight. */
  readonly isBusy: (socket: Socket) => boolean;
  readonly onClose: (reason: CloseReason) => void;
  readonly logger: Pick<Logger, 'warning'>;
}

/** The open connections of a server, at most `max`. */
interface Connections {
  /** To be called for each connection that is accepted. It may be closed at once. */
  add(socket: Socket): void;
  /** The connections that have a request in flight. */
  busy(): Socket[];
}

/**
 * The part of the file descriptors for connections, less those of a server without any: model files, engine processes and downloads
 * need some too. Without a free one the kernel's connections are closed by libuv, and nothing says so.
 */
const DESCRIPTOR_SHARE = 3 / 4;
const BASE_DESCRIPTORS = 32;
/** What a connection and its request take, rounded up: 10 KiB were measured for an idle one, 62 KiB with TLS. */
const CONNECTION_BYTES = 65_536;
const MEMORY_SHARE = 1 / 4;
const LEAST = 16;

/**
 * Limits the number of open connections. At the limit the newest connection without a request in flight is closed for a new one;
 * if all have one, the new one is closed. So a client that opens many closes its own, and the pools of load balancers, which are
 * older, stay.
 */
export function createConnectionLimit({ max, isBusy, onClose, logger }: ConnectionLimitOptions): Connections {
  const open = new Set<Socket>();
  const countDue = createLogInterval();

  function log(): void {
    const count = countDue();
    if (count === undefined) return;
    logger.warning(`${max} connections are open, the limit: the newest without a request in flight are closed`, {
      count,
    });
  }

  return {
    add(socket) {
      if (open.size >= max) {
        const idle = [...open].findLast((other) => !isBusy(other));
        const closed = idle ?? socket;
        open.delete(closed);
        closed.destroy();
        onClose('too_many_connections');
        log();
        if (closed === socket) return;
      }
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    },
    busy: () => [...open].filter(isBusy),
  };
}

/**
 * The most connections that this process can have open: as its file descriptors and its memory allow.
 * @param limits the text of `/proc/self/limits`; undefined where there is none.
 * @param memoryBytes bytes of memory that the process may use.
 */
export function possibleConnections(
  limits: string | undefined = readLimits(),
  memoryBytes = Math.min(process.constrainedMemory() || totalmem(), totalmem()),
): number {
  const soft = /^Max open files\s+(\d+)/m.exec(limits ?? '')?.[1];
  const byDescriptors =
    soft === undefined ? Number.POSITIVE_INFINITY : Math.floor(Number(soft) * DESCRIPTOR_SHARE) - BASE_DESCRIPTORS;
  const byMemory = Math.floor((memoryBytes * MEMORY_SHARE) / CONNECTION_BYTES);
  return Math.max(LEAST, Math.min(byDescriptors, byMemory));
}

function readLimits(): string | undefined {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return undefined;
  }
}
