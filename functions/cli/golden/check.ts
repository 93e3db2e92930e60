import type { Outcome, VerbContext } from '../terminal/reporting.ts';
import type { GoldenArguments } from './arguments.ts';
import { checkService } from './check-service.ts';
import { tokenSource } from './token-source.ts';

/** Checks a running server. @throws ServingError as `checkService` does */
export async function run(options: GoldenArguments, context: VerbContext): Promise<Outcome> {
  const { path = 'golden.json', samples, model, wait: waitSeconds } = options;
  const { progress, signal, styles } = context;
  if (samples !== undefined) context.wrongUsage('--check takes the golden rows, and no file of rows');
  const url = options.check!.replace(/\/+$/, '');
  if (!URL.canParse(url) || !/^https?:\/\//.test(url))
    context.wrongUsage(`--check: expected a URL with http:// or https://, got ${url}`);
  const token = tokenSource(options, url);
  const service = { url, model, golden: path, waitSeconds, token, signal };
  const failures: { row: number | null; reason: string }[] = [];
  let total = 1;
  let done = 0;
  let tolerance: number | undefined;
  let serving: string | undefined;
  await checkService(service, {
    waiting: () => progress.step(`waiting for ${url}`),
    ready(ready, rows) {
      progress.step('sending the rows');
      total = rows?.rows.length ?? 1;
      tolerance = rows?.tolerance;
      serving = ready.model && `${ready.model.name} ${ready.model.version}`;
    },
    checked({ row, passed, said }) {
      progress.update(++done, total, `row ${done} of ${total}`);
      if (!passed) failures.push({ row: row ?? null, reason: said });
    },
  });
  const right = done - failures.length;
  const what = tolerance === undefined ? 'its own example, as the model has no golden rows' : `tolerance ${tolerance}`;
  const summary = `${url}${serving ? ` (${serving})` : ''}: ${right} of ${done} rows came out right, ${what}`;
  return {
    isGood: failures.length === 0,
    json: { url, model: serving, golden: path, tolerance, rows: done, failed: failures },
    lines: [
      ...failures.map(
        ({ row, reason }) => `${styles.red('FAILED')}  ${row === null ? 'example' : `row ${row}`}: ${reason}`,
      ),
      failures.length === 0 ? styles.green(summary) : summary,
    ],
  };
}
