import type { BaselineFile, BenchInputs, ModelInput } from './bench-inputs.ts';
import type { ContestantSpec } from './contestant.ts';
import { type Race, type Sample, series } from './race.ts';
import { type Bar, judge, ratios, spread, unmeasured, type Verdict } from './summary.ts';

/** The names in the tables. */
export const PRODUCT = 'onnx-cloud-run';
export const FRAMEWORK = 'functions framework';
export const PLAIN = 'plain node:http';
export const CONSTANT = 'constant body';

/** The environment of a workload. */
export interface Bench {
  readonly rounds: number;
  readonly quick: boolean;
  readonly inputs: BenchInputs;
  /** The production build, serving one model; undefined if there is no build. */
  product(model: ModelInput, env?: Readonly<Record<string, string>>): ContestantSpec | undefined;
  baseline(name: string, file: BaselineFile, model: ModelInput, args?: readonly string[]): ContestantSpec;
}

export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly bars: readonly Bar[];
  run(bench: Bench): Promise<readonly Verdict[]>;
}

export const NOT_BUILT = 'no build that starts';

/** The product's figure divided, round by round, by that of `base`, compared with a bar. */
export function judgeAgainst(
  workload: string,
  bar: Bar,
  race: Race,
  base: string,
  pick: (sample: Sample) => number,
): Verdict {
  const [own, others] = [series(race, PRODUCT, pick), series(race, base, pick)];
  if (own.length === 0) return unmeasured(workload, bar, NOT_BUILT);
  if (others.length === 0) return unmeasured(workload, bar, `${base} did not start`);
  return judge(workload, bar, ratios(own, others));
}

/** A figure of the product, compared with a bar. */
export function judgeProduct(workload: string, bar: Bar, race: Race, pick: (sample: Sample) => number): Verdict {
  const own = series(race, PRODUCT, pick);
  return own.length === 0 ? unmeasured(workload, bar, NOT_BUILT) : judge(workload, bar, spread(own));
}

/** The contestants that are not undefined. */
export function present(specs: readonly (ContestantSpec | undefined)[]): ContestantSpec[] {
  return specs.filter((spec) => spec !== undefined);
}
