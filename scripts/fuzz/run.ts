import { Agent } from 'node:http';
import { type Answer, exchange } from '../conformance/http.ts';
import { faultOf } from './check-answer.ts';
import { checkValues, type LoneRow, outputsOf } from './check-values.ts';
import { isSame } from './columns.ts';
import { type FuzzRequest, generate, type Signature } from './generate.ts';
import { type Json, parseLoosely } from './loose-json.ts';

const CONNECTIONS = 32;
/** Longest time for a response, in milliseconds: a longer one is a failure. */
const ANSWER_MS = 10_000;
const SHOWN_BYTES = 4096;
/** Most rows that are sent alone after a run, each in its own request. */
const MAX_LONE = 2000;
/** A run of several rows may round differently from a run of one. */
const ROUNDING = 1e-4;

interface Failure {
  readonly number: number;
  readonly request: FuzzRequest;
  readonly fault: string;
  readonly answer: string;
}

/** The counts of a run so far. */
export interface Tally {
  /** Responses by dialect, then status. */
  readonly statuses: Map<string, Map<number, number>>;
  readonly failures: Failure[];
  /** Responses of 200 whose values were compared with known ones. */
  compared: number;
  /** Rows to be sent once more, alone. */
  readonly lone: LoneRow[];
  /** Requests sent again because the server had closed the kept connection. */
  resent: number;
}

export const createTally = (): Tally => ({ statuses: new Map(), failures: [], compared: 0, lone: [], resent: 0 });

/** Sends the bodies `from` to `to` - 1 over 32 keep-alive connections. Ends early if the time is up or 20 have failed. */
export async function sendBodies(
  url: string,
  models: readonly Signature[],
  { seed, from, to, until }: { seed: number; from: number; to: number; until: number },
  tally: Tally,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to && tally.failures.length < 20) {
      if (performance.now() > until) throw new Error(`the time was up at body ${next}`);
      const number = next++;
      const request = generate(seed, number, models);
      let answer: Answer;
      try {
        answer = await send(url, request, agent, tally);
      } catch (error) {
        tally.failures.push({ number, request, fault: (error as Error).message, answer: 'none' });
        continue;
      }
      count(tally, request.dialect, answer.status);
      const fault = faultOf(answer) ?? faultOfValues(request, answer, models, tally);
      if (fault === undefined) continue;
      tally.failures.push({ number, request, fault, answer: `${answer.status} ${answer.text.slice(0, 1000)}` });
    }
  };
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  } finally {
    agent.destroy();
  }
}

function faultOfValues(
  request: FuzzRequest,
  answer: Answer,
  models: readonly Signature[],
  tally: Tally,
): string | undefined {
  if (answer.status !== 200) return undefined;
  const { fault, lone } = checkValues(request, answer, models);
  tally.compared += 1;
  if (tally.lone.length < MAX_LONE) tally.lone.push(...lone);
  return fault;
}

/** Sends rows once more, one at a time. @returns a line for each whose result differs from the one within a batch. */
export async function sendAlone(
  url: string,
  rows: readonly LoneRow[],
  models: readonly Signature[],
): Promise<string[]> {
  const agent = new Agent({ keepAlive: true });
  const faults: string[] = [];
  try {
    for (const { model, features, outputs } of rows) {
      const path = `/models/${model}/predict`;
      const headers = { 'Content-Type': 'application/json' };
      const body = `{"features":${features}}`;
      const { status, text } = await exchange(url, { method: 'POST', path, headers, body, agent }, ANSWER_MS);
      const fault = (what: string): unknown => faults.push(`${path} ${body}: ${what}`);
      if (status !== 200) {
        fault(`answered within a batch, and alone with ${status} ${text}`);
        continue;
      }
      const signature = models.find(({ name }) => name === model)!;
      const alone = outputsOf(signature, (parseLoosely(text) as { outputs: { [key: string]: Json } }).outputs);
      for (const [name, column] of outputs) {
        if (isSame(column, alone.get(name)!, ROUNDING)) continue;
        fault(`${name} is ${alone.get(name)!.values} alone, and was ${column.values}`);
      }
    }
  } finally {
    agent.destroy();
  }
  return faults;
}

async function send(url: string, { path, headers, body }: FuzzRequest, agent: Agent, tally: Tally): Promise<Answer> {
  const sent = { method: 'POST', path, headers, body, agent } as const;
  try {
    return await exchange(url, sent, ANSWER_MS);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    // The server may close a keep-alive connection while a request is sent, but not a new one.
    tally.resent += 1;
    return exchange(url, { ...sent, agent: undefined } as never, ANSWER_MS);
  }
}

function count({ statuses }: Tally, dialect: string, status: number): void {
  const of = statuses.get(dialect) ?? new Map<number, number>();
  statuses.set(dialect, of.set(status, (of.get(status) ?? 0) + 1));
}

/** Describes a failure, with everything that is needed to send the body again. */
export function describeFailure(seed: number, { number, request, fault, answer }: Failure): string {
  const { path, headers, body } = request;
  const flags = Object.entries(headers).map(([name, value]) => `-H '${name}${value === '' ? ';' : `: ${value}`}'`);
  const hex = body.subarray(0, SHOWN_BYTES).toString('hex');
  const cut = body.length > SHOWN_BYTES ? ` (the first ${SHOWN_BYTES} of ${body.length} bytes)` : '';
  return `seed ${seed}, body ${number}: ${fault}
  printf '${hex}' | xxd -r -p | curl -i --data-binary @- ${flags.join(' ')} "$URL${path}"${cut}
  answer: ${answer}`;
}
