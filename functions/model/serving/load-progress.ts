import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import type { LoadPhase } from './load-failure.ts';
import type { Progress } from './prepared-generation.ts';

/** The progress of a model's load, for its status and for metrics. */
interface LoadProgress extends Progress {
  /** Starts a load. @param name of the model, until its files give it another. */
  begin(name: string): void;
  /** Ends the load, successful or not. */
  end(): void;
  /** Sets the bytes of the generation that serves now. */
  settle(bytes: number): void;
  now(): {
    readonly phase: LoadPhase | undefined;
    readonly bytes: number | undefined;
    readonly fetched: number | undefined;
    readonly seconds: number;
  };
}

/** Creates the progress of one model's loads. It reports the seconds of each phase to the metrics. */
export function createLoadProgress(metrics: Metrics): LoadProgress {
  let phase: LoadPhase | undefined;
  let name = '';
  let startedAt = 0;
  let phaseAt = 0;
  let seconds = 0;
  let bytes: number | undefined;
  let fetched = 0;

  function enter(next: LoadPhase | undefined): void {
    if (next === phase) return;
    const at = performance.now();
    if (phase !== undefined) metrics.model(name).load(phase, (at - phaseAt) / 1000);
    phaseAt = at;
    phase = next;
    if (next === 'fetching') fetched = 0;
  }

  const elapsed = (): number => Math.round(performance.now() - startedAt) / 1000;

  return {
    begin(called) {
      name = called;
      startedAt = performance.now();
    },
    phase: enter,
    found(version, size) {
      name = version.name;
      bytes = size;
    },
    fetched(more) {
      fetched = more;
    },
    end() {
      seconds = elapsed();
      enter(undefined);
    },
    settle(size) {
      bytes = size;
    },
    now: () => ({
      phase,
      bytes,
      fetched: phase === 'fetching' ? fetched : undefined,
      seconds: phase === undefined ? seconds : elapsed(),
    }),
  };
}
