import { type Goal, isBetter, NOISE, type Point, pointOf, rank, type Sample } from './objective.ts';
import { type Axis, keyOf, type Settings } from './settings.ts';

/** How settings are searched. */
export interface SearchOptions {
  readonly defaults: Settings;
  readonly axes: readonly Axis[];
  readonly goal: Goal;
  /** Loads a server with some settings. @param what for: it is shown */
  readonly measure: (settings: Settings, what: string) => Promise<Sample>;
  /** The part of the budget that is used, 0 to 1 and more. */
  readonly used: () => number;
}

/** What was found. */
export interface Found {
  /** All settings that were measured. */
  readonly points: readonly Point[];
  readonly defaults: Point;
  /** The settings to use: never worse than the defaults, measured beside them. */
  readonly best: Point;
  /** The highest rate of the defaults in the last rounds ÷ the lowest. */
  readonly variation: number;
  /** The search has ended by itself, and not because its time was up. */
  readonly isComplete: boolean;
}

/** The part of the budget after which the search ends, and the best are measured again. */
const SEARCH_SHARE = 0.65;
/** The most of the best that are measured again, beside the defaults. */
const MOST_FINALISTS = 3;
/** The least rounds in which they are measured, whatever the budget is. */
const LEAST_ROUNDS = 3;
/** More do not change a median. */
const MOST_ROUNDS = 7;
const MOST_PASSES = 3;
/** In so many of the rounds the choice must be better than the defaults that were measured beside it. */
const LEAST_WINS = 0.8;
/** If the rates of the defaults differ by more than this factor from round to round, nothing can be said of other settings. */
const MOST_VARIATION = 2;

/**
 * Changes one part of the settings after the other, from the defaults on, and keeps what is better, until nothing is or the time is up.
 * Then it measures the best and the defaults in turn, so that whatever else the machine does meanwhile affects all of them, and takes
 * the best of these medians.
 */
export async function search(options: SearchOptions): Promise<Found> {
  const { defaults, goal, used } = options;
  const results = new Map<string, Measured>();
  let loads = 0;
  async function measure(settings: Settings, what: string): Promise<Point> {
    const sample = await options.measure(settings, what);
    loads += 1;
    addSample(results, settings, sample);
    // Alone: what a search compares was measured one after the other, and not minutes ago.
    return pointOf(settings, [sample], goal);
  }
  const isComplete = await climb(options, measure);
  const points = pointsOf(results, goal);
  // The rounds that are certain must fit into what is left of the budget.
  const left = Math.floor(((1 - used()) * loads) / used() / LEAST_ROUNDS) - 1;
  const finalists = finalistsOf(points, defaults, goal, Math.max(1, Math.min(MOST_FINALISTS, left)));
  const last = new Map<string, Measured>();
  for (let round = 1; round <= MOST_ROUNDS && (round <= LEAST_ROUNDS || used() < 1); round++) {
    // In the other order each time: a server may profit from what the one before it left in caches.
    for (const settings of round % 2 === 1 ? finalists : finalists.toReversed())
      addSample(last, settings, await options.measure(settings, `final round ${round}`));
  }
  const final = pointsOf(last, goal);
  const [own, ...candidates] = final as [Point, ...Point[]];
  const rates = own.samples.map(({ rate }) => rate);
  const variation = Math.max(...rates) / Math.min(...rates);
  const better = variation > MOST_VARIATION ? [] : candidates.filter((point) => beats(point, own, goal));
  const others = points.filter(({ settings }) => !last.has(keyOf(settings)));
  return { points: [...final, ...others], defaults: own, best: rank(better, goal)[0] ?? own, variation, isComplete };
}

interface Measured {
  readonly settings: Settings;
  readonly samples: Sample[];
}

function addSample(results: Map<string, Measured>, settings: Settings, sample: Sample): void {
  const known = results.get(keyOf(settings));
  if (known === undefined) results.set(keyOf(settings), { settings, samples: [sample] });
  else known.samples.push(sample);
}

const pointsOf = (results: ReadonlyMap<string, Measured>, goal: Goal): Point[] =>
  Array.from(results.values(), ({ settings, samples }) => pointOf(settings, samples, goal));

/** Whether a point is better than the defaults by its medians, and in most of the rounds. */
function beats(point: Point, defaults: Point, goal: Goal): boolean {
  const one = ({ settings, samples }: Point, round: number): Point => pointOf(settings, [samples[round]!], goal);
  const wins = point.samples.filter((_, round) => isBetter(one(point, round), one(defaults, round), goal));
  return isBetter(point, defaults, goal) && wins.length >= LEAST_WINS * point.samples.length;
}

/** The coordinate search. @returns false if its time was up */
async function climb(
  { defaults, axes, goal, used }: SearchOptions,
  measure: (settings: Settings, what: string) => Promise<Point>,
): Promise<boolean> {
  let current = defaults;
  const isOver = (): boolean => used() >= SEARCH_SHARE;
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const before = keyOf(current);
    for (const axis of axes) {
      if (isOver()) return false;
      let best = await measure(current, axis.name);
      let lowest = best.cost[goal.way];
      for (const line of linesOf(axis, current)) {
        for (const settings of line) {
          if (isOver()) break;
          const point = await measure(settings, axis.name);
          lowest = Math.min(lowest, point.cost[goal.way]);
          // Each of several steps may cost a little more, for a lower latency; all of them together may not.
          const isStep = isBetter(point, best, goal) && point.cost[goal.way] <= lowest * (1 + NOISE);
          if (isStep) best = point;
          else if (axis.isOrdered) break;
        }
      }
      current = best.settings;
    }
    if (keyOf(current) === before) return !isOver();
  }
  return true;
}

/** The settings to try: for an axis in order, from the present choice up and down; else all others. */
function linesOf({ choices, isOrdered }: Axis, current: Settings): Settings[][] {
  const settings = choices.map((choice) => ({ ...current, ...choice }));
  const at = settings.findIndex((one) => keyOf(one) === keyOf(current));
  const others = settings.filter((_, i) => i !== at);
  if (!isOrdered || at === -1) return [others];
  return [settings.slice(at + 1), settings.slice(0, at).reverse()];
}

/** The defaults and the best of the others. */
function finalistsOf(points: readonly Point[], defaults: Settings, goal: Goal, most: number): Settings[] {
  const others = points.filter(({ settings }) => keyOf(settings) !== keyOf(defaults));
  return [
    defaults,
    ...rank(others, goal)
      .slice(0, most)
      .map(({ settings }) => settings),
  ];
}
