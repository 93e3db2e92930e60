import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Attack, repeat, type StartAttack } from '../attack.ts';
import { type Load, openLoop, runFor } from '../clients/load.ts';
import { openSocket } from '../clients/sockets.ts';
import { atMost, type Fault } from '../fault.ts';
import { countStatuses, isServed, quantile, type Sample } from '../figures.ts';
import { echoWork } from '../models.ts';
import type { Target } from '../target.ts';

const CONNECTIONS = 500;
const PER_SECOND = 50;
const EVERY_MS = 1000;
const LEVEL_MB = 20;

/** A head that does not end, and a body that does not. */
const BEGINNINGS = [
  'POST /predict HTTP/1.1\r\nHost: a\r\nX-Long: ',
  'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n',
];

export const slowSenders: Fault = {
  name: 'slow-senders',
  title: 'connections that send a byte a second, of heads and of bodies',
  async run(chaos) {
    const target = await chaos.shared();
    const singles = (): Load =>
      openLoop({ port: target.port, perSecond: PER_SECOND, random: chaos.random, make: echoWork() });
    const seconds = chaos.scale(30, 3);
    const alone = p99(await runFor(singles(), seconds));
    const senders = sendSlowly(target, CONNECTIONS);
    await sleep(1.5 * EVERY_MS);
    const before = target.memory();
    const samples = await runFor(singles(), seconds);
    const grown = target.memory() - before;
    await senders.stop();
    chaos.holds('others are served', samples.every(isServed), countStatuses(samples));
    chaos.compares('p99 of others / alone <= 2', p99(samples) / alone, atMost(2));
    chaos.holds(`memory grows by <= ${LEVEL_MB} MB`, grown <= LEVEL_MB, `${grown.toFixed(1)} MB`);
  },
};

const p99 = (samples: readonly Sample[]): number =>
  quantile(
    samples.map(({ ms }) => ms),
    0.99,
  );

function sendSlowly({ port }: Target, connections: number): Attack {
  const sockets: Socket[] = [];
  const sending = repeat(EVERY_MS, () => {
    for (let i = 0; i < connections; i++) {
      // The server closes those that take too long.
      if (sockets[i]?.destroyed === false) sockets[i]!.write('1');
      else {
        sockets[i] = openSocket(port).resume();
        sockets[i]!.write(BEGINNINGS[i % BEGINNINGS.length]!);
      }
    }
  });
  return {
    async stop() {
      await sending.stop();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export const attackBySlowSenders: StartAttack = (target) => sendSlowly(target, CONNECTIONS);
