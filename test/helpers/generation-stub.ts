import type { Feeds } from '../../functions/engine/batch-rows.ts';
import type { AdmissionOptions, Cancellation, Outcome } from '../../functions/engine/batcher.ts';
import { ServingError } from '../../functions/errors.ts';
import type { Manifest } from '../../functions/model/folder/manifest.ts';
import { createRowDecoder } from '../../functions/model/folder/rows.ts';
import type { Repository } from '../../functions/model/repository/repository.ts';
import type { Generation } from '../../functions/model/serving/generation.ts';
import type { DType, Signature, TensorSpec } from '../../functions/tensor/tensor.ts';
import type { RecordingTelemetry } from './telemetry.ts';

export interface StubbedModel {
  readonly signature: Signature;
  /** Default: true. */
  readonly joinsRows?: boolean;
  readonly manifest?: Manifest;
  /** Golden rows that are shown. Default: none. */
  readonly examples?: Generation['examples'];
  readonly version?: string;
  readonly superseded?: AbortSignal;
  /** Whether its queue refuses requests. Default: it does not. */
  readonly refuse?: Generation['refuse'];
  /** In the place of the engine processes. Default: the outputs are the inputs. */
  readonly predict?: (feeds: Feeds, cancellation: Cancellation, options?: AdmissionOptions) => Promise<Outcome[]>;
}

export interface GenerationStub {
  readonly live: Generation;
  /** Has this model alone: as the one behind `/predict`, as `m`, and by its version. */
  readonly repository: Repository;
  /** What `predict` was called with. */
  readonly fed: Feeds[];
  /** How often it is held now. */
  held(): number;
  /** Settles once it is not held any more. */
  readonly released: Promise<void>;
}

/** An input or output. */
export const tensorSpec = (name: string, dtype: DType, ...shape: number[]): TensorSpec => ({ name, dtype, shape });

/** The outcome of a run of these rows alone, whose outputs are its inputs. */
export const outcomeOf = ({ tensors, rows }: Feeds): Outcome[] => [{ rows, outputs: tensors, first: 0 }];

/** The loaded model `m` without engine processes, for the tests of routes. */
export function stubGeneration(model: StubbedModel): GenerationStub {
  const {
    signature,
    joinsRows = true,
    manifest = {},
    version = '1',
    superseded = new AbortController().signal,
  } = model;
  const run = model.predict ?? (async (feeds: Feeds) => outcomeOf(feeds));
  const fed: Feeds[] = [];
  const released = Promise.withResolvers<void>();
  let held = 0;
  const live = {
    name: 'm',
    version,
    signature,
    manifest,
    examples: model.examples ?? [],
    joinsRows,
    labelled: [],
    rows: createRowDecoder(signature, manifest.input?.features, joinsRows),
    superseded,
    hold: () => void held++,
    release() {
      held--;
      if (held === 0) released.resolve();
    },
    refuse: model.refuse ?? (() => undefined),
    predict(feeds: Feeds, cancellation: Cancellation, options?: AdmissionOptions) {
      fed.push(feeds);
      return run(feeds, cancellation, options);
    },
  } as unknown as Generation;
  const main = { live: () => live, whenLive: async () => live, status: () => ({ name: 'm', version, state: 'ready' }) };
  const listed = { name: 'm', unloaded: false, versions: [{ number: version, status: main.status() }] };
  const isKnown = (name: string, number = version): boolean => name === 'm' && number === version;
  const repository = {
    main,
    async find(name: string, number?: string) {
      if (isKnown(name, number)) return main;
      throw new ServingError('NOT_FOUND', `there is no model ${name}`);
    },
    loaded: (name?: string, number?: string) => (isKnown(name ?? 'm', number) ? live : undefined),
    list: async () => [listed],
    describe: async () => listed,
  } as unknown as Repository;
  return { live, repository, fed, held: () => held, released: released.promise };
}

/** Rows of the model `m` that the metrics have counted. */
export function countedRows({ metrics }: Pick<RecordingTelemetry, 'metrics'>): { ok: number; failed: number } {
  const { text } = metrics.render();
  const count = (outcome: string): number =>
    Number(new RegExp(`^predictions_total\\{model="m",outcome="${outcome}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  return { ok: count('ok'), failed: count('failed') };
}
