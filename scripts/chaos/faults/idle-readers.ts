import type { Socket } from 'node:net';
import { requestBytes } from '../../bench/request.ts';
import { type Attack, repeat, type StartAttack } from '../attack.ts';
import type { Fault } from '../fault.ts';
import { countStatuses, isServed } from '../figures.ts';
import { openLoop } from '../load.ts';
import { echoWork, HALF_WIDE, WIDE, WIDE_ROW } from '../models.ts';
import { openSocket } from '../sockets.ts';
import type { Target } from '../target.ts';

const CONNECTIONS = 60;
const PER_SECOND = 20;
const EVERY_MS = 100;
/** How long after the time limit of the server the last connection may be closed. */
const SLACK_MS = 30_000;
const ANSWER_MB = 33;
const LEVEL_MB = 100;

/** Rows whose results, some 5 MB, are more than the buffers of the kernel hold. */
const LINES = `${WIDE_ROW}\n`.repeat(60);
const CHUNK = `${Buffer.byteLength(LINES).toString(16)}\r\n${LINES}\r\n`;
const STREAM = [
  `POST /models/${HALF_WIDE}/batch_predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson`,
  `Transfer-Encoding: chunked\r\n\r\n${CHUNK}`,
].join('\r\n');
const ANSWER = requestBytes('POST', `/models/${WIDE}/predict`, WIDE_ROW);

export const idleReaders: Fault = {
  name: 'idle-readers',
  title: 'connections that never read: of streams, and of responses of 30 MiB',
  async run(chaos) {
    const target = await chaos.shared();
    const first = await target.send({ method: 'POST', path: `/models/${WIDE}/predict`, body: WIDE_ROW });
    chaos.holds(
      'a response of 30 MiB is sent',
      first.bytes.length > 28 * 2 ** 20,
      `${first.status}, ${first.bytes.length} bytes`,
    );
    const before = target.memory();
    const load = openLoop({ port: target.port, perSecond: PER_SECOND, random: chaos.random, make: echoWork() });
    const answers = chaos.scale(CONNECTIONS / 2, 6);
    const readers = readNothing(target, CONNECTIONS - answers, answers);
    let most = 0;
    const watch = repeat(EVERY_MS * 5, () => {
      most = Math.max(most, target.memory() - before);
    });
    const limit = Number(chaos.sharedEnv.REQUEST_TIMEOUT_MS) + SLACK_MS;
    const open = await readers.closed(limit);
    await Promise.all([watch.stop(), readers.stop()]);
    const samples = await load.stop();
    chaos.holds('all connections are closed after the time limit', open === 0, `${open} of ${CONNECTIONS} open`);
    chaos.holds('others are served', samples.every(isServed), countStatuses(samples));
    const bound = answers * ANSWER_MB * 3 + LEVEL_MB;
    chaos.holds(`memory grows by <= ${bound} MB meanwhile`, most <= bound, `${most.toFixed(0)} MB`);
    const grown = target.memory() - before;
    chaos.holds(`and by <= ${LEVEL_MB} MB in the end`, grown <= LEVEL_MB, `${grown.toFixed(0)} MB`);
  },
};

interface Readers extends Attack {
  /** Waits until the server has closed all connections. @returns how many are open after `boundMs`. */
  closed(boundMs: number): Promise<number>;
}

function readNothing({ port }: Target, streams: number, answers: number): Readers {
  const sockets = Array.from({ length: streams + answers }, () => openSocket(port).pause());
  const open = new Set<Socket>(sockets);
  for (const [i, socket] of sockets.entries()) {
    socket.once('close', () => open.delete(socket));
    socket.write(i < streams ? STREAM : ANSWER);
  }
  // A client that does not read finds out that the server has closed the connection when it writes.
  const writing = repeat(EVERY_MS, () => {
    for (const socket of sockets) if (socket.writable && !socket.writableNeedDrain) socket.write('\n');
  });
  return {
    async closed(boundMs) {
      const end = performance.now() + boundMs;
      while (open.size > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      return open.size;
    },
    async stop() {
      await writing.stop();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export const attackByIdleReaders: StartAttack = (target) => readNothing(target, CONNECTIONS / 2, 2);
