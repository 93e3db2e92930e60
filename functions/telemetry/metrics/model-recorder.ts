import { LABEL_LIMITS, type LoadPhase, METRICS, ROW_BUCKETS, TIME_BUCKETS } from './metric-table.ts';
import { boundLabel, createHistogram, type Sample } from './series.ts';

/** Records the measurements of one model. Keep it: looking it up by name takes longer than recording. */
export interface ModelRecorder {
  /** Rows of one prediction, by outcome. */
  rows(ok: number, failed: number): void;
  /** The time of each of these rows from queueing, decoded, to the results of all rows that were queued together. */
  latency(seconds: number, rows: number): void;
  /** The rows and the duration of one run. */
  run(rows: number, seconds: number): void;
  /** The time that the rows of a request waited for their run. */
  queueWait(seconds: number): void;
  /** How long a phase of the latest load took. */
  load(phase: LoadPhase, seconds: number): void;
}

/** The metrics that are recorded for each model. */
type ModelMetric = 'predictions' | 'latency' | 'runRows' | 'run' | 'queueWait' | 'modelLoad';

type SamplesByMetric = Record<ModelMetric, () => Sample[]>;

interface ModelRecorders {
  /** The recorder of a model. */
  get(name: string): ModelRecorder;
  /** The label of a model: its name, or `other` if there are too many models. */
  label(name: string): string;
  /** The samples of all models. */
  samples: SamplesByMetric;
}

/** Creates recorders by the names of models; all models beyond the bound share one. */
export function createModelRecorders(): ModelRecorders {
  const label = boundLabel(LABEL_LIMITS.model);
  const models = new Map<string, { recorder: ModelRecorder; samples: SamplesByMetric }>();

  function get(name: string): ModelRecorder {
    const known = models.get(name);
    if (known !== undefined) return known.recorder;
    const bounded = label(name);
    const made = models.get(bounded) ?? recordModel(bounded);
    models.set(bounded, made);
    return made.recorder;
  }

  const all = (metric: ModelMetric) => () => [...models.values()].flatMap((model) => model.samples[metric]());
  return {
    get,
    label,
    samples: {
      predictions: all('predictions'),
      latency: all('latency'),
      runRows: all('runRows'),
      run: all('run'),
      queueWait: all('queueWait'),
      modelLoad: all('modelLoad'),
    },
  };
}

function recordModel(model: string) {
  const latency = createHistogram(TIME_BUCKETS);
  const runRows = createHistogram(ROW_BUCKETS);
  const run = createHistogram(TIME_BUCKETS);
  const queueWait = createHistogram(TIME_BUCKETS);
  const loads = new Map<LoadPhase, number>();
  let okRows = 0;
  let failedRows = 0;

  const recorder: ModelRecorder = {
    rows(ok, failed) {
      okRows += ok;
      failedRows += failed;
    },
    latency: latency.observe,
    run(rows, seconds) {
      runRows.observe(rows);
      run.observe(seconds);
    },
    queueWait: queueWait.observe,
    load(phase, seconds) {
      loads.set(phase, seconds);
    },
  };

  const samples: SamplesByMetric = {
    predictions: () => [
      { labels: { model, outcome: 'ok' }, value: okRows },
      { labels: { model, outcome: 'failed' }, value: failedRows },
    ],
    latency: () => latency.samples(METRICS.latency.name, { model }),
    runRows: () => runRows.samples(METRICS.runRows.name, { model }),
    run: () => run.samples(METRICS.run.name, { model }),
    queueWait: () => queueWait.samples(METRICS.queueWait.name, { model }),
    modelLoad: () => Array.from(loads, ([phase, value]) => ({ labels: { model, phase }, value })),
  };
  return { recorder, samples };
}
