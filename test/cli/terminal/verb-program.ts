/** A program with one verb, for reporting.test.ts: `node verb-program.ts KIND [--json]`. */
import { writeFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { reportVerb } from '../../../functions/cli/terminal/reporting.ts';
import { ServingError } from '../../../functions/errors.ts';

const [kind, flag] = process.argv.slice(2);
const command = new Command('verb')
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace('error: ', '')) });

/** Settles when the signal is aborted, or never. */
const forever = (signal?: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    setInterval(() => {}, 1000);
    signal?.addEventListener('abort', () => reject(new Error('aborted')));
  });

try {
  await reportVerb(
    command,
    { json: flag === '--json' },
    async ({ note, progress, signal, styles, onEnd, wrongUsage }) => {
      onEnd(() => note('cleaned up'));
      progress.step('working');
      if (kind === 'refused') throw new ServingError('INVALID_INPUT', 'rows.csv line 3: expected a number, got x');
      if (kind === 'fault') throw new TypeError('a fault of the program');
      if (kind === 'usage') wrongUsage('give --golden or --rows');
      if (kind === 'waiting' || kind === 'deaf') {
        onEnd(() => writeFileSync(1, 'temporary file removed\n'));
        note('started');
        await forever(kind === 'waiting' ? signal : undefined);
      }
      return {
        lines: [styles.green('all good'), 'second line'],
        json: { good: true, rows: 3n },
        isGood: kind !== 'no',
      };
    },
  );
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode;
}
