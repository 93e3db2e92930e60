import { WAYS, type Way } from '../prices/cost.ts';
import type { PriceList } from '../prices/prices.ts';
import { formatBytes, formatCount, formatMs, formatNumberOf } from '../terminal/format.ts';
import type { Styles } from '../terminal/styles.ts';
import { table } from '../terminal/table.ts';
import { quantityOf } from '../write-settings/settings.ts';
import { type Goal, type Point, paretoFront } from './objective.ts';
import type { Found } from './search.ts';
import { type Facts, keyOf, type Settings, variablesOf } from './settings.ts';

/** A search that has ended. */
export interface Tuned extends Found {
  readonly facts: Facts;
  readonly goal: Goal;
  readonly list: PriceList;
  /** Where the rows were from. */
  readonly from: string;
  /** The model. */
  readonly place: string;
  readonly loads: number;
  /** Of a load. */
  readonly seconds: number;
  /** The most cores that the load generator used, beside the server. */
  readonly cores: number;
}

const BILL_TITLES: Readonly<Record<Way, string>> = {
  cloudRunRequests: 'Run, request',
  cloudRunInstances: 'Run, instance',
  gke: 'GKE',
  gkeSpot: 'GKE Spot',
};
/** The defaults vary by less on a machine that does nothing else. */
const USUAL_VARIATION = 1.2;
/** Rows of the table: of many points that differ little, these are enough to choose. */
const MOST_SHOWN = 12;
const ways = Object.keys(WAYS) as Way[];

/** Settings on a line. */
export const describe = ({ processes, threads, batch, delayMs, weights, concurrency }: Settings): string =>
  `${formatNumberOf(processes, 'process', 'processes')}, ${formatNumberOf(threads, 'thread')}, batch ${batch}, delay ${delayMs} ms, ${weights}, concurrency ${concurrency}`;

/** The result for a person. */
export function reportLines(tuned: Tuned, styles: Styles): string[] {
  const { best, defaults, list, facts, loads, seconds, cores } = tuned;
  const shown = shownPoints(tuned);
  const isDefault = keyOf(best.settings) === keyOf(defaults.settings);
  const marked = ({ settings }: Point): string => {
    if (keyOf(settings) === keyOf(best.settings) && best.fault === undefined)
      return isDefault ? 'chosen, default' : 'chosen';
    return keyOf(settings) === keyOf(defaults.settings) ? 'default' : '';
  };
  const right = (title: string) => ({ title, align: 'right' as const });
  return [
    `${styles.bold(tuned.place)}, rows: ${tuned.from}, ${formatNumberOf(facts.cpus, 'CPU')}, ${formatNumberOf(loads, 'load')} of ${seconds.toFixed(1)} s`,
    ...(facts.joinsRows ? [] : ['the rows of different requests are not joined: batch size and delay have no effect']),
    '',
    ...table(
      [
        ...['engines', 'batch', 'delay', 'weights', 'concurrency', 'rate', 'p99', 'memory'].map(right),
        ...ways.map((way) => right(BILL_TITLES[way])),
        '',
      ],
      shown.map((point) => [...cellsOf(point), styles.green(marked(point))]),
      { styleTitle: styles.dim },
    ),
    '',
    'Engines are processes × threads. No other settings that were measured have a higher rate, a lower p99 and less',
    `memory. Dollars are for a million predictions at full load, with prices for ${list.region} of`,
    ...list.sources.map((source) => `  ${source}`),
    ...(cores > 0.05
      ? [`The load generator used up to ${cores.toFixed(1)} of the CPUs: without it on the machine, rates are higher.`]
      : []),
    ...(tuned.variation > USUAL_VARIATION
      ? [
          styles.yellow(
            `The rate of the defaults varied by a factor of ${tuned.variation.toFixed(1)}: something else uses the CPUs, and the results are rough.`,
          ),
        ]
      : []),
    ...(tuned.isComplete ? [] : ['The time was up before the search had ended: a larger --budget may find more.']),
    '',
    ...(best.fault === undefined
      ? chosenLines(tuned, styles)
      : [styles.red(`No settings can be chosen: ${best.fault}.`)]),
  ];
}

function chosenLines({ best, defaults, goal }: Tuned, styles: Styles): string[] {
  return [
    keyOf(best.settings) === keyOf(defaults.settings)
      ? styles.bold('The defaults are as good as anything that was measured.')
      : `${styles.bold('Chosen')}: ${describe(best.settings)}: ${compare(best, defaults, goal)}`,
    ...Object.entries(variablesOf(best.settings)).map(([name, value]) => `  ${name}=${value}`),
    `  containerConcurrency: ${best.settings.concurrency}`,
    `  memory: ${quantityOf(best.instanceBytes)}`,
  ];
}

/** The front, with the choice and the defaults even if they are not on it. */
function shownPoints({ points, best, defaults }: Tuned): Point[] {
  const own = [best, defaults].map(({ settings }) => keyOf(settings));
  const front = paretoFront(points);
  const step = Math.max(1, (front.length - 1) / (MOST_SHOWN - 1));
  const some = new Set(
    Array.from({ length: Math.min(front.length, MOST_SHOWN) }, (_, i) => front[Math.round(i * step)]),
  );
  return points
    .filter((point) => some.has(point) || own.includes(keyOf(point.settings)))
    .sort((a, b) => b.rate - a.rate);
}

function cellsOf({ settings, rate, p99Ms, memoryBytes, cost }: Point): string[] {
  const { processes, threads, batch, delayMs, weights, concurrency } = settings;
  return [
    `${processes} × ${threads}`,
    String(batch),
    `${delayMs} ms`,
    weights,
    String(concurrency),
    `${formatCount(rate)}/s`,
    formatMs(p99Ms),
    formatBytes(memoryBytes),
    ...ways.map((way) => dollars(cost[way])),
  ];
}

/** Dollars with the digits of cents, and for less than a cent two significant ones. */
function dollars(value: number): string {
  if (!Number.isFinite(value)) return '';
  return `$${value >= 0.01 ? value.toFixed(value < 0.1 ? 3 : 2) : value.toPrecision(2)}`;
}

function compare(best: Point, defaults: Point, { way }: Goal): string {
  const percent = (now: number, before: number): string => {
    const change = Math.round((now / before - 1) * 100);
    return `${change > 0 ? '+' : ''}${change} %`;
  };
  const rate = percent(best.rate, defaults.rate);
  const p99 = percent(best.p99Ms, defaults.p99Ms);
  return `rate ${rate}, p99 ${p99}, cost ${percent(best.cost[way], defaults.cost[way])} (${WAYS[way]}) against the defaults`;
}

/** The result for a machine. */
export function jsonOf({
  isComplete,
  variation,
  points,
  best,
  defaults,
  facts,
  goal,
  list,
  from,
  place,
  loads,
  seconds,
  cores,
}: Tuned) {
  const front = new Set(paretoFront(points));
  const plain = (point: Point) => ({
    ...point.settings,
    rate: point.rate,
    p99Ms: point.p99Ms,
    memoryBytes: point.memoryBytes,
    instanceBytes: point.instanceBytes,
    dollarsPerMillion: point.cost,
    samples: point.samples.length,
    ...(point.fault !== undefined && { fault: point.fault }),
  });
  return {
    model: place,
    rows: from,
    ...facts,
    bill: goal.way,
    p99Ms: goal.p99Ms ?? null,
    prices: list,
    isComplete,
    variation,
    loads,
    secondsPerLoad: seconds,
    generatorCores: cores,
    chosen: plain(best),
    defaults: plain(defaults),
    points: points.map((point) => ({ ...plain(point), isOnFront: front.has(point) })),
  };
}
