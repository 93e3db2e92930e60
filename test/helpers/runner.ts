import { setImmediate as turn } from 'node:timers/promises';
import type { Feeds } from '../../functions/engine/batch-rows.ts';
import {
  type AdmissionOptions,
  ALL_ROWS,
  type Batcher,
  type BatcherOptions,
  createBatcher,
  type Outcome,
  type Runner,
} from '../../functions/engine/batcher.ts';
import { RunError, type RunFault } from '../../functions/engine/process/engine-process.ts';
import type { JoinedTensor } from '../../functions/engine/process/frame.ts';
import type { Tensor } from '../../functions/tensor/tensor.ts';
import { float32 } from './tensors.ts';

/** One run that a batcher asked for. It ends when a test says so. */
export interface FakeRun {
  readonly inputs: readonly JoinedTensor[];
  /** The rows' values, in the order in which they were fed. */
  readonly values: readonly number[];
  /** Gives each row's value times ten, or `outputs`. */
  finish(outputs?: Tensor[]): void;
  /** Ends it as an engine does: one that failed is free at once, one that died, `faulted` of itself, only once it is replaced. */
  fail(fault: RunFault | 'refused' | 'faulted'): void;
}

export interface FakeRunner extends Runner {
  /** Every run so far. */
  readonly runs: FakeRun[];
  /** Those that have not ended. */
  readonly open: FakeRun[];
  /** Engines that died and were not replaced. */
  dead(): number;
  /** Puts another engine in a dead one's place. */
  replace(): void;
  /** Calls the listener of `onFault`, as the pool does when an engine has ended. */
  reportFault(): void;
}

/** Engines in name only. They free themselves before the run's owner hears of it, as the pool's do. */
export function createFakeRunner(engines = 1): FakeRunner {
  let free = engines;
  let dead = 0;
  let listener = (): void => {};
  let reportFault = (): void => {};
  const runs: FakeRun[] = [];
  const open: FakeRun[] = [];
  const release = (): void => {
    free++;
    listener();
  };
  return {
    runs,
    open,
    free: () => free,
    working: () => engines - dead,
    dead: () => dead,
    replace() {
      dead--;
      release();
    },
    onFree: (called) => {
      listener = called;
    },
    onFault: (called) => {
      reportFault = called;
    },
    reportFault: () => reportFault(),
    run(inputs) {
      if (free === 0) throw new Error('a run was asked for while no engine was free');
      free--;
      return new Promise((resolve, reject) => {
        const end = (): void => void open.splice(open.indexOf(run), 1);
        const run: FakeRun = {
          inputs,
          // Read when a test asks: some rows have millions of values.
          get values() {
            return inputs[0]!.parts.flatMap((part) => Array.from(part as Float32Array));
          },
          finish(outputs = [tenfoldColumn(run.values)]) {
            end();
            release();
            resolve(outputs);
          },
          fail(fault) {
            end();
            if (fault === 'failed' || fault === 'refused') release();
            else dead++;
            if (fault === 'refused') reject(new Error('refused'));
            else if (fault === 'faulted') reject(new RunError('crashed', 'this run faulted', { ofItself: true }));
            else reject(new RunError(fault, `this run ${fault}`));
          },
        };
        runs.push(run);
        open.push(run);
      });
    },
  };
}

const tenfoldColumn = (values: readonly number[]): Tensor => float32([values.length, 1], tenfold(values));

/** One request's rows, shape [N,1]. Rows of another `width` lie in a tensor of their own, [N,1,…,1]. */
export function request(values: readonly number[], rank = 2): Feeds {
  const dims = [values.length, ...new Array(rank - 1).fill(1)];
  return { tensors: [float32(dims, values)], rows: values.length };
}

/** What became of a request: its values times ten; in place of a row that failed the error's code, or all that it was given. */
export function valuesOf(outcomes: readonly Outcome[]): (number | string)[] {
  return outcomes.flatMap((outcome): (number | string)[] => {
    if ('error' in outcome) return new Array(outcome.rows).fill(outcome.error.code);
    const values = Array.from(outcome.outputs[0]!.data as Float32Array);
    return outcome.first === ALL_ROWS ? [`whole ${values}`] : values.slice(outcome.first, outcome.first + outcome.rows);
  });
}

/** Asks for a prediction; `settled` has the outcome, or the code of the rejection, once there is one. */
export function ask(batcher: Batcher, feeds: Feeds, cancellation = { cancelled: false }, options?: AdmissionOptions) {
  const asked = { cancellation, settled: undefined as (number | string)[] | string | undefined, times: 0 };
  const settle = (what: (number | string)[] | string): void => {
    asked.settled = what;
    asked.times++;
  };
  batcher.predict(feeds, cancellation, options).then(
    (outcomes) => settle(valuesOf(outcomes)),
    (error) => settle(error.code ?? String(error)),
  );
  return asked;
}

/** Lets everything happen that is due now. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 3; i++) await turn();
}

export interface Setup {
  readonly runner: FakeRunner;
  readonly batcher: Batcher;
}

/** A batcher over engines in name only: rows joined, up to 8 a run, 100 waiting, without delay. */
export function setUpBatcher(options: Partial<BatcherOptions> = {}, engines = 1): Setup {
  const runner = createFakeRunner(engines);
  const batcher = createBatcher(runner, { join: true, maxBatchSize: 8, delayMs: 0, maxQueueSize: 100, ...options });
  return { runner, batcher };
}

/** Ends every run, with failure where `fate` says so, until nothing is left to run. Dead engines are replaced. */
export async function settleAll(
  { runner }: Setup,
  fate: (run: FakeRun) => RunFault | 'faulted' | undefined,
): Promise<void> {
  for (await quiet(); runner.open.length > 0 || runner.dead() > 0; await quiet()) {
    while (runner.dead() > 0) runner.replace();
    for (const run of [...runner.open]) {
      const fault = fate(run);
      if (fault === undefined) run.finish();
      else run.fail(fault);
    }
  }
}

/** `count` whole numbers from `from` on. */
export function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

export function valuesOfRuns(runs: readonly FakeRun[]): (readonly number[])[] {
  return runs.map(({ values }) => values);
}

export function tenfold(values: readonly number[]): number[] {
  return values.map((value) => value * 10);
}
