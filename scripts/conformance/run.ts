import { type Check, type Context, type Need, type Part, Unproven } from './check.ts';
import { createContext, type Target } from './context.ts';
import type { Sent } from './http.ts';

export type Verdict =
  /** It holds. */
  | 'pass'
  | 'fail'
  /** It can't be checked from outside the server. */
  | 'unproven'
  /** It does not hold, which is a known limit of this kind of host. */
  | 'cannot';

export interface Result {
  readonly number: number;
  readonly title: string;
  readonly verdict: Verdict;
  /** The reasons if it is not `pass`; for `fail` a line for each assertion that does not hold. */
  readonly why: readonly string[];
}

/** The known limits of a kind of host, by the number of the check. */
export type Limits = Readonly<Record<number, Limit>>;

interface Limit {
  readonly why: string;
  /** The titles of the assertions that do not hold; all others must hold. */
  readonly parts: RegExp;
}

const CHECK_MS = 120_000;
const SHOWN_BYTES = 500;

const NEEDS: Readonly<Record<Need, (context: Context) => boolean>> = {
  fixture: ({ fixture }) => fixture,
  fresh: ({ startup }) => startup !== undefined,
  pid: ({ pid }) => pid !== undefined,
};

/** Runs the checks one after the other; `onResult` is called with each result. */
export async function runChecks(
  checks: readonly Check[],
  target: Target,
  limits: Limits,
  onResult: (result: Result) => void,
): Promise<Result[]> {
  let last: Sent | undefined;
  const context = createContext(target, (sent) => {
    last = sent;
  });
  const results: Result[] = [];
  for (const check of checks) {
    const { number, title } = check;
    const found = await judge(check, context, limits[number], () => last);
    const result = { number, title, ...found };
    results.push(result);
    onResult(result);
  }
  return results;
}

type Found = Pick<Result, 'verdict' | 'why'>;

interface Failure {
  /** The title of the assertion; undefined for the check itself. */
  readonly part: string | undefined;
  readonly message: string;
}

async function judge(
  check: Check,
  context: Context,
  limit: Limit | undefined,
  last: () => Sent | undefined,
): Promise<Found> {
  const missing = (check.needs ?? []).filter((need) => !NEEDS[need](context));
  if (missing.length > 0)
    return { verdict: 'unproven', why: [`needs ${missing.map((need) => `--${need}`).join(', ')}`] };
  const failures: Failure[] = [];
  const part: Part = async (title, run) => {
    try {
      await run();
    } catch (error) {
      if (error instanceof Unproven) throw error;
      failures.push({ part: title, message: (error as Error).message + showSent(last()) });
    }
  };
  try {
    if (check.binary && !(await context.hasBinary())) throw new Unproven('the server offers no binary_tensor_data');
    await within(CHECK_MS, check.run(context, part));
  } catch (error) {
    if (!(error instanceof Unproven))
      failures.push({ part: undefined, message: (error as Error).message + showSent(last()) });
    else if (failures.length === 0) return { verdict: 'unproven', why: [error.message] };
  }
  return excuse(failures, limit);
}

/** A listed limit that no longer exists is a failure of the list. */
function excuse(failures: readonly Failure[], limit: Limit | undefined): Found {
  const lines = (some: readonly Failure[]): string[] =>
    some.map(({ part, message }) => (part === undefined ? message : `${part}: ${message}`));
  const others = failures.filter(({ part }) => limit === undefined || part === undefined || !limit.parts.test(part));
  if (others.length > 0) return { verdict: 'fail', why: lines(others) };
  if (limit === undefined) return { verdict: 'pass', why: [] };
  if (failures.length > 0) return { verdict: 'cannot', why: [limit.why, ...lines(failures)] };
  return { verdict: 'fail', why: [`it holds, and is listed as what this host can't do: ${limit.why}`] };
}

async function within(ms: number, running: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the check was not over after ${ms / 1000} s`)), ms);
  });
  try {
    await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
  }
}

function showSent(sent: Sent | undefined): string {
  if (sent === undefined) return '';
  const { method, path, headers = {}, body = '', declared } = sent;
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const bytes = Buffer.from(body as Uint8Array).subarray(0, SHOWN_BYTES);
  const text = JSON.stringify(bytes.toString('latin1'));
  return `\n      ${[`${method} ${path}`, ...fields, declared === undefined ? text : `${declared} bytes declared`].join(' | ')}`;
}
