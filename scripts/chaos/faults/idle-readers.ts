import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { type Attack, repeat, type StartAttack } from '../attack.ts';
import { openLoop } from '../clients/load.ts';
import { connectedPorts, openSocket } from '../clients/sockets.ts';
import type { Chaos, Fault } from '../fault.ts';
import { countStatuses, isServed } from '../figures.ts';
import { echoWork, HALF_WIDE, WIDE, WIDE_ROW } from '../models.ts';
import type { Target } from '../target.ts';

const CONNECTIONS = { full: 60, quick: 30 };
const PER_SECOND = 20;
const EVERY_MS = 100;
const SAMPLE_MS = 500;
/**
 * Time limits of the server that may pass in turn: until a response begins, of the stream, of its end, while the kernel takes the
 * last bytes, and one for a busy machine.
 */
const LIMITS = 5;
/** A response exists as values and as text, and as a part of both in a frame. */
const COPIES = 3;
const ANSWER_MB = 33;
const LEVEL_MB = 100;
/** The memory, or the time, does not suffice for the response. */
const FAILURES = [429, 504];

/** Rows whose results, some 2 MB, are more than the buffers of the kernel hold for a client that does not read. */
const LINES = `${WIDE_ROW}\n`.repeat(24);
const CHUNK = `${Buffer.byteLength(LINES).toString(16)}\r\n${LINES}\r\n`;
const STREAM = [
  `POST /models/${HALF_WIDE}/batch_predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson`,
  `Transfer-Encoding: chunked\r\n\r\n${CHUNK}`,
].join('\r\n');
const ANSWER = requestBytes('POST', `/models/${WIDE}/predict`, WIDE_ROW);

export const idleReaders: Fault = {
  name: 'idle-readers',
  title: 'connections that never read: of streams, and of responses of 33 MB',
  async run(chaos) {
    const target = await chaos.shared();
    const first = await target.send({ method: 'POST', path: `/models/${WIDE}/predict`, body: WIDE_ROW });
    const size = `${first.status}, ${(first.bytes.length / 1e6).toFixed(0)} MB`;
    chaos.holds('a response of 33 MB is sent', first.bytes.length > 30e6, size);
    await target.send({ method: 'POST', path: `/models/${HALF_WIDE}/predict`, body: WIDE_ROW });
    const load = openLoop({ port: target.port, perSecond: PER_SECOND, random: chaos.random, make: echoWork() });
    await measure(chaos, target);
    const samples = await load.stop();
    chaos.holds('others are served', samples.every(isServed), countStatuses(samples));
  },
};

async function measure(chaos: Chaos, target: Target): Promise<void> {
  const before = target.memory();
  const failedBefore = await countFailed(target);
  const grown = (): number => target.memory() - before;
  const connections = chaos.scale(CONNECTIONS.full, CONNECTIONS.quick);
  const answers = chaos.scale(connections / 2, 6);
  const senders = answers / 2;
  const readers = readNothing(target, connections - answers, answers, senders);
  let most = 0;
  const watch = repeat(SAMPLE_MS, () => {
    most = Math.max(most, grown());
  });
  const end = performance.now() + LIMITS * Number(chaos.sharedEnv.REQUEST_TIMEOUT_MS);
  await sleep(2 * SAMPLE_MS);
  while (readers.silent() + readers.senders() > 0 && performance.now() < end) await sleep(SAMPLE_MS);
  const left = { silent: readers.silent(), senders: readers.senders() };
  await readers.stop();
  await sleep(2 * SAMPLE_MS);
  const last = grown();
  await watch.stop();
  const within = `within ${LIMITS} time limits`;
  // The kernel holds a short response, of an error: such a connection is idle like any other.
  const idle = (await countFailed(target)) - failedBefore;
  const [all, of] = [left.silent + left.senders, `of ${connections} left, ${left.senders} of them send blank lines`];
  chaos.holds(
    `silent readers are disconnected ${within} (but for ${idle} that got an error)`,
    all <= idle,
    `${all} ${of}`,
  );
  const bound = (copies: number): number => answers * ANSWER_MB * copies + LEVEL_MB;
  const hold = (when: string, mb: number, most: number): void =>
    chaos.holds(`memory grows by <= ${most} MB ${when}`, mb <= most, `${mb.toFixed(0)} MB`);
  hold('meanwhile', most, bound(COPIES));
  // V8 collects memory outside of its heap late; further rounds add nothing.
  hold('afterwards', last, bound(1));
}

/** How many predictions have failed so far. */
const countFailed = async (target: Target): Promise<number> =>
  (await Promise.all(FAILURES.map((status) => target.metric('http_requests_total', `status="${status}"`)))).reduce(
    (sum, count) => sum + count,
  );

interface Readers extends Attack {
  /** How many of those that send nothing are connected. */
  silent(): number;
  /** How many of those that send blank lines are connected. */
  senders(): number;
}

/** @param senders how many of the answers have clients that send blank lines, which HTTP allows before a request */
function readNothing({ port }: Target, streams: number, answers: number, senders: number): Readers {
  const sockets = Array.from({ length: streams + answers }, () => openSocket(port).pause());
  for (const [i, socket] of sockets.entries()) socket.write(i < streams ? STREAM : ANSWER);
  // The first: later ones may get an error instead.
  const sending = sockets.slice(streams, streams + senders);
  const writing = repeat(EVERY_MS, () => {
    for (const socket of sending) if (socket.writable && !socket.writableNeedDrain) socket.write('\r\n');
  });
  const countConnected = (some: readonly Socket[]): number => {
    const ports = connectedPorts(port);
    return some.filter(({ localPort }) => ports.has(localPort!)).length;
  };
  return {
    silent: () => countConnected(sockets.filter((socket) => !sending.includes(socket))),
    senders: () => countConnected(sending),
    async stop() {
      await writing.stop();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export const attackByIdleReaders: StartAttack = (target) => readNothing(target, CONNECTIONS.quick / 2, 2, 0);
