import { preparationDocument } from '../../model/folder/export/describe.ts';
import type { PriceList } from '../prices/prices.ts';
import type { PlannedFile } from '../write-settings/settings.ts';
import type { CloudRunSize, Cost } from './cloud-run.ts';
import type { Examination } from './examine.ts';

interface Results {
  readonly size: CloudRunSize | undefined;
  readonly costs: readonly (Cost | undefined)[];
  readonly prices: PriceList;
  readonly ignored: readonly string[];
  readonly files: readonly PlannedFile[];
  readonly notes: readonly string[];
}

/** The document of `--json`. Bytes, milliseconds and US dollars. */
export function documentOf(
  examined: readonly Examination[],
  { size, costs, prices, ignored, files, notes }: Results,
): object {
  const isMeasured = examined.some(({ measured }) => measured !== undefined);
  return {
    serves: examined.every(({ serves }) => serves),
    models: examined.map((one, i) => modelOf(one, costs[i])),
    // CPU and concurrency depend on the run times.
    cloud_run: size && {
      memory_bytes: size.memoryBytes,
      ...(isMeasured && {
        cpu: size.cpu,
        concurrency: size.concurrency,
        processes: size.processes,
        threads: size.threads,
        reason: size.reason,
      }),
    },
    prices: { region: prices.region, sources: prices.sources },
    ignored,
    written: files.map(({ path, changes }) => ({ path, changes })),
    notes,
  };
}

function modelOf(one: Examination, cost: Cost | undefined): object {
  const { name, version, place, otherVersions, serves, findings, file, bytes, served, measured, preparation } = one;
  return {
    name,
    version,
    place,
    lower_versions: otherVersions,
    serves,
    findings,
    bytes,
    file: file && {
      ir_version: file.irVersion,
      opsets: Object.fromEntries(file.opsets.map((set) => [set.domain, set.version])),
      producer: file.producer,
      parameters: file.parameters,
      external: file.external,
      operators: Object.fromEntries(file.operators.map((use) => [`${use.domain}.${use.operator}`, use.nodes])),
    },
    inputs: served?.signature.inputs ?? file?.inputs.map((value) => ({ name: value.name, type: value.type })),
    outputs: served?.signature.outputs ?? file?.outputs.map((value) => ({ name: value.name, type: value.type })),
    preparation: preparation && preparationDocument(preparation),
    batching: served && {
      enabled: served.batching.enabled,
      decided_by: served.batching.decidedBy,
      reason: served.batching.reason,
    },
    measured: measured && {
      threads: measured.threads,
      start_ms: measured.startMs,
      load_ms: measured.loadMs,
      memory_before: measured.before,
      memory: measured.memory,
      runs: measured.runs,
      best_batch: measured.best?.rows,
    },
    dollars_per_million: cost,
  };
}
