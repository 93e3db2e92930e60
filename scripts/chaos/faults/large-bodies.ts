import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { repeat, type StartAttack } from '../attack.ts';
import { closedWithin, openSocket, statusesOf } from '../clients/sockets.ts';
import type { Chaos, Fault } from '../fault.ts';
import type { Target } from '../target.ts';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
/** MAX_BODY_BYTES: as much of a body as a server buffers, before it knows that it is too large. */
const LIMIT_BYTES = 31 * MIB;
/** A buffer of unknown length grows by doubling. */
const GROWTH = 2;
/** The buffers of the kernel at both ends, and what a client sends on a busy machine before it reads the response. */
const IN_FLIGHT_BYTES = 48 * MIB;
const LEVEL_MB = 10;
const BOUND_MS = 20_000;
const HEAD = 'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
const PIECE = Buffer.alloc(MIB, '1');

interface Upload {
  readonly name: string;
  readonly head: string;
  readonly isChunked: boolean;
  readonly expected: number;
  /** The most bytes that may be sent before the response. */
  readonly most: number;
}

const UPLOADS: readonly Upload[] = [
  {
    name: '1 GiB declared',
    head: `${HEAD}Content-Length: ${GIB}\r\n\r\n`,
    isChunked: false,
    expected: 413,
    most: IN_FLIGHT_BYTES,
  },
  {
    name: '1 GiB in chunks',
    head: `${HEAD}Transfer-Encoding: chunked\r\n\r\n`,
    isChunked: true,
    expected: 413,
    most: LIMIT_BYTES + IN_FLIGHT_BYTES,
  },
  {
    name: '1 GiB after a Content-Length of 10',
    head: `${HEAD}Content-Length: 10\r\n\r\n`,
    isChunked: false,
    expected: 400,
    most: IN_FLIGHT_BYTES,
  },
];

export const largeBodies: Fault = {
  name: 'large-bodies',
  title: 'bodies of 1 GiB: declared, in chunks, and with a false Content-Length',
  async run(chaos) {
    const target = await chaos.shared();
    for (const upload of UPLOADS) await send(chaos, target, upload);
    const before = target.memory();
    for (let i = 0; i < 20; i++) {
      const socket = openSocket(target.port);
      socket.write(`${HEAD}Content-Length: ${LIMIT_BYTES}\r\n\r\n{"features":`);
      await sleep(10);
      socket.destroy();
    }
    const grown = target.memory() - before;
    chaos.holds(
      `20 bodies that do not come: memory grows by <= ${LEVEL_MB} MB`,
      grown <= LEVEL_MB,
      `${grown.toFixed(1)} MB`,
    );
  },
};

async function send(chaos: Chaos, target: Target, upload: Upload): Promise<void> {
  const before = target.memory();
  let most = 0;
  const watch = repeat(20, () => {
    most = Math.max(most, target.memory() - before);
  });
  const { status, sent } = await uploadUntilResponse(target.port, upload);
  await watch.stop();
  const { name, expected } = upload;
  chaos.holds(
    `${name}: ${expected} early`,
    status === expected && sent <= upload.most,
    `${status} after ${(sent / MIB).toFixed(0)} MiB`,
  );
  const grown = target.memory() - before;
  const level = upload.isChunked ? LEVEL_MB + GROWTH * (LIMIT_BYTES / 1e6) : LEVEL_MB;
  chaos.holds(
    `${name}: memory grows by <= ${level.toFixed(0)} MB`,
    most <= level,
    `${most.toFixed(1)} MB, then ${grown.toFixed(1)}`,
  );
}

/** Sends as fast as the server reads. @returns the status, 0 if none, and the bytes of the body that were written before it. */
async function uploadUntilResponse(
  port: number,
  { head, isChunked }: Upload,
): Promise<{ status: number; sent: number }> {
  const socket = openSocket(port);
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece;
  });
  socket.write(head);
  let sent = 0;
  const signal = AbortSignal.timeout(BOUND_MS);
  while (sent < GIB && text === '' && !socket.destroyed && !signal.aborted) {
    if (isChunked) socket.write(`${PIECE.length.toString(16)}\r\n`);
    const isFlowing = socket.write(PIECE);
    if (isChunked) socket.write('\r\n');
    sent += PIECE.length;
    if (!isFlowing) await nextEvent(socket, ['drain', 'data', 'close'], signal);
  }
  await closedWithin(socket, 1000);
  socket.destroy();
  return { status: statusesOf(text)[0] ?? 0, sent };
}

/** Waits for the first of these events, or the signal. */
async function nextEvent(socket: Socket, names: readonly string[], signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  await Promise.race(names.map((name) => once(socket, name, { signal: either }))).catch(() => {});
  over.abort();
}

export const attackByLargeBodies: StartAttack = ({ port }) =>
  repeat(200, async () => {
    for (const upload of UPLOADS) await uploadUntilResponse(port, upload);
  });
