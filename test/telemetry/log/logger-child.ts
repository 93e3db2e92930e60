/** A process that logs. Its parent says what to do over IPC, and hears there how it went. */
import { createLogger } from '../../../functions/telemetry/log/logger.ts';

const logger = createLogger({ level: 'debug', transport: process.argv[2] === 'cloud' ? 'cloud' : 'stdout' });
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
let count = 0;

/** Logs lines of about 1 KiB, ten a turn, each with its number. */
async function log(lines: number): Promise<void> {
  for (let i = 0; i < lines; i++) {
    logger.info('x'.repeat(900), { count: count++ });
    if (i % 10 === 9) await nextTurn();
  }
}

const ACTIONS = {
  /** As `log`, in a single turn. */
  async burst(lines: number) {
    for (let i = 0; i < lines; i++) logger.info('x'.repeat(900), { count: count++ });
    process.send?.({ logged: count, dropped: logger.dropped() });
  },
  async log(lines: number) {
    await log(lines);
    process.send?.({ logged: count, dropped: logger.dropped() });
  },
  async flush(ms: number) {
    await logger.flush(ms);
    process.send?.({ logged: count, dropped: logger.dropped() });
  },
  /** Lines in one turn, then the end in the same turn. */
  async exit(lines: number) {
    for (let i = 0; i < lines; i++) logger.info('last', { count: count++ });
    process.exit(0);
  },
  async crash(lines: number) {
    for (let i = 0; i < lines; i++) logger.info('last', { count: count++ });
    process.nextTick(() => {
      throw new Error('crashed on purpose');
    });
  },
  async end(lines: number) {
    for (let i = 0; i < lines; i++) logger.info('last', { count: count++ });
    process.disconnect();
  },
};

process.on('message', ({ action, amount }: { action: keyof typeof ACTIONS; amount: number }) =>
  ACTIONS[action](amount),
);
process.send?.({ logged: 0, dropped: 0 });
