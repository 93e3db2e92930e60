import { createHistogram, type HistogramSnapshot } from './histogram.ts';
import type { Recording } from './recorder.ts';

/** The recording of a load that several generators shared: of the same phases, in the same time. @param all at least one */
export function mergeRecordings(all: readonly Recording[]): Recording {
  const [first] = all as [Recording];
  const total = (pick: (one: Recording) => number): number => all.reduce((sum, one) => sum + pick(one), 0);
  const series = (name: 'ok' | 'failed'): number[] =>
    Array.from({ length: Math.max(...all.map(({ bins }) => bins[name].length)) }, (_, i) =>
      total(({ bins }) => bins[name][i] ?? 0),
    );
  return {
    seconds: Math.max(...all.map(({ seconds }) => seconds)),
    parts: first.parts.map((_, i) => ({
      latency: mergeHistograms(all.map(({ parts }) => parts[i]!.latency)),
      requests: total(({ parts }) => parts[i]!.requests),
      ok: total(({ parts }) => parts[i]!.ok),
    })),
    statuses: addUp(all.map(({ statuses }) => statuses)),
    failures: addUp(all.map(({ failures }) => failures)),
    wrong: total(({ wrong }) => wrong),
    firstWrong: all.find(({ firstWrong }) => firstWrong !== undefined)?.firstWrong,
    samples: Object.assign({}, ...all.map(({ samples }) => samples)),
    retries: total(({ retries }) => retries),
    completed: total(({ completed }) => completed),
    waited: total(({ waited }) => waited),
    bins: { seconds: first.bins.seconds, ok: series('ok'), failed: series('failed') },
    late: mergeHistograms(all.map(({ late }) => late)),
    connections: total(({ connections }) => connections),
    cores: total(({ cores }) => cores),
  };
}

function mergeHistograms(snapshots: readonly HistogramSnapshot[]): HistogramSnapshot {
  const histogram = createHistogram();
  for (const snapshot of snapshots) histogram.add(snapshot);
  return histogram.snapshot();
}

function addUp(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of counts.flatMap(Object.entries<number>)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
