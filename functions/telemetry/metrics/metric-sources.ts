import { ENGINE_STATES, type EngineState, MODEL_STATES, type ModelState } from './metric-table.ts';
import { type ProcessFigures, readProcess } from './process-figures.ts';
import type { Sample } from './series.ts';

/** Functions that a scrape calls for values of other rooms, each once. */
export interface MetricSources {
  /** Rows waiting for a run, by model. */
  queueDepth: () => Iterable<{ model: string; depth: number }>;
  /** `slot` numbers the engines of one version from 0: the labels stay the same when a process is replaced. */
  engines: () => Iterable<EngineSource>;
  models: () => Iterable<{ name: string; state: ModelState }>;
  /** Bytes reserved for loaded models. */
  modelMemory: () => number;
  /** Log lines dropped since the start. */
  logDropped: () => number;
}

interface EngineSource {
  readonly model: string;
  readonly version: string;
  readonly slot: number;
  readonly pid: number | undefined;
  readonly state: EngineState;
}

type SourceMetric =
  | 'queueDepth'
  | 'engines'
  | 'engineMemory'
  | 'engineCpu'
  | 'modelState'
  | 'modelMemory'
  | 'logDropped';

type SourceSamples = Record<SourceMetric, Sample[]>;

/** Creates a reader of the sources. Every state has a sample, with the value 0 if nothing is in it. @param modelLabel the label of a model by its name. */
export function createSourceReader(
  modelLabel: (name: string) => string,
): (from: Partial<MetricSources>) => SourceSamples {
  function readQueue(queue: Iterable<{ model: string; depth: number }>): Sample[] {
    const depths = new Map<string, number>();
    for (const { model, depth } of queue) {
      const label = modelLabel(model);
      depths.set(label, (depths.get(label) ?? 0) + depth);
    }
    return Array.from(depths, ([model, value]) => ({ labels: { model }, value }));
  }

  function readModels(models: Iterable<{ name: string; state: ModelState }>): Sample[] {
    const states = new Map<string, Set<ModelState>>();
    for (const { name, state } of models) {
      const label = modelLabel(name);
      states.set(label, (states.get(label) ?? new Set()).add(state));
    }
    return Array.from(states, ([model, current]) =>
      MODEL_STATES.map((state) => ({ labels: { model, state }, value: current.has(state) ? 1 : 0 })),
    ).flat();
  }

  return (from) => {
    const engines = [...(from.engines?.() ?? [])];
    const figures = engines.map(({ pid }) => (pid === undefined ? undefined : readProcess(pid)));
    const byEngine = (pick: (one: ProcessFigures) => number): Sample[] =>
      sumByEngine(engines, figures, modelLabel, pick);
    return {
      queueDepth: readQueue(from.queueDepth?.() ?? []),
      engines: ENGINE_STATES.map((state) => ({
        labels: { state },
        value: engines.filter((one) => one.state === state).length,
      })),
      engineMemory: byEngine((one) => one.residentBytes),
      engineCpu: byEngine((one) => one.cpuSeconds),
      modelState: readModels(from.models?.() ?? []),
      modelMemory: [{ labels: {}, value: from.modelMemory?.() ?? 0 }],
      logDropped: [{ labels: {}, value: from.logDropped?.() ?? 0 }],
    };
  };
}

/** Sums the values with the same labels: a version may be loaded twice, under two addresses, and models beyond the bound share a label. */
function sumByEngine(
  engines: readonly EngineSource[],
  figures: readonly (ProcessFigures | undefined)[],
  modelLabel: (name: string) => string,
  pick: (one: ProcessFigures) => number,
): Sample[] {
  const samples = new Map<string, Sample>();
  for (const [i, { model, version, slot }] of engines.entries()) {
    const found = figures[i];
    if (found === undefined) continue;
    const labels = { model: modelLabel(model), version, engine: slot };
    const key = JSON.stringify(labels);
    const sample = samples.get(key) ?? { labels, value: 0 };
    sample.value += pick(found);
    samples.set(key, sample);
  }
  return [...samples.values()];
}
