import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

/** What a server sent on a raw connection. */
export interface RawReply {
  readonly text: string;
  /** Whether the server closed the connection, within the bound. */
  readonly isClosed: boolean;
}

/** A connection to loopback that does not read; errors are ignored. */
export function openSocket(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  return socket;
}

/** Sends bytes on a connection of its own, and reads until the server closes it, at most `boundMs`. */
export async function exchangeRaw(port: number, bytes: string | Buffer, boundMs: number): Promise<RawReply> {
  const socket = openSocket(port);
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece;
  });
  socket.write(bytes);
  const isClosed = await closedWithin(socket, boundMs);
  socket.destroy();
  return { text, isClosed };
}

/** Whether a socket that is read is closed within so many milliseconds. */
export async function closedWithin(socket: Socket, boundMs: number): Promise<boolean> {
  if (socket.destroyed || socket.readableEnded) return true;
  try {
    // Not `close`, which follows when this side has sent all of its bytes.
    const signal = AbortSignal.timeout(boundMs);
    await Promise.race([once(socket, 'end', { signal }), once(socket, 'close', { signal })]);
    return true;
  } catch {
    return socket.destroyed;
  }
}

/** The statuses of the responses in a text. */
export const statusesOf = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, status]) => Number(status));

const ESTABLISHED = '01';

/**
 * The ports of the clients whose connections the server on `port` has not closed, by the kernel's table: a client that neither reads
 * nor writes is not notified of the end. On Linux only.
 */
export const connectedPorts = (port: number): Set<number> => clientPorts(readFileSync('/proc/net/tcp', 'latin1'), port);

/** The same of the text of /proc/net/tcp. */
export function clientPorts(table: string, port: number): Set<number> {
  const ports = new Set<number>();
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', remote = '', state] = line.trim().split(/\s+/);
    if (state === ESTABLISHED && portOf(local) === port) ports.add(portOf(remote));
  }
  return ports;
}

const portOf = (address: string): number => Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
