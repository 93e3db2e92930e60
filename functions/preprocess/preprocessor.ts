import type { Feeds } from '../engine/batch-rows.ts';
import type { AdmissionOptions, Batcher, RequestTerms } from '../engine/batcher.ts';
import type { Capacity } from '../engine/capacity.ts';
import type { Pool } from '../engine/pool.ts';
import type { PoolOptions } from '../engine/supervisor.ts';
import type { ServingError } from '../errors.ts';
import type { Signature, Tensor } from '../tensor/tensor.ts';
import type { PictureTurns } from './picture-turns.ts';
import type { TokenizedText } from './process/text-frames.ts';

export type { TokenizedText };

/** What a caller may say about the texts of a request. */
export interface TextOptions {
  /** Whether a text that is too long is truncated. Default: it is; otherwise it is refused. */
  readonly truncate?: boolean | undefined;
  /** The name of a prompt of the model, which is put before each text. Default: the model's default prompt. */
  readonly prompt?: string | undefined;
  /** Whether embeddings are normalized. Default: as the model's files say. */
  readonly normalize?: boolean | undefined;
}

/** What a request says about its rows beside their values. */
export interface PreprocessOptions {
  readonly text?: TextOptions | undefined;
}

/** A row as the engine takes it, or why there is none. */
export type PreparedRow = { readonly feeds: Feeds } | { readonly error: ServingError };

/** Makes the inputs of engine processes from what callers send. */
export interface Preprocessor {
  /**
   * What callers see: its inputs instead of the engine's. Called once, before the first row is prepared.
   * @param engine the signature of the engine processes, which may say of what size rows are
   */
  signature(engine: Signature): Signature;
  /**
   * Prepares rows.
   * @param feeds rows of the caller's inputs: see `signature`. For the input of a model of texts also token ids, int32
   *   `[rows, length]`, padded with -1: they are used as they are
   * @returns for each row, in their order, feeds of one row with the engine's inputs, or its error `INVALID_INPUT`
   * @throws ServingError as `Batcher.predict` does, for the queue of the preparing processes
   */
  prepare(
    feeds: Feeds,
    terms: RequestTerms,
    options?: AdmissionOptions & PreprocessOptions,
  ): Promise<readonly PreparedRow[]>;
  /** A row of the engine's inputs for the warm-up; undefined: made up from the engine's signature. */
  sample(): Promise<Feeds | undefined>;
  /**
   * Makes a row's outputs for the caller from those of the engine. Default: they are the same.
   * @param prepared the row: the object that `prepare` gave
   * @param outputs of the engine, each with one row, unless `finishesWhole`
   * @returns tensors of `signature`'s outputs, each with one row
   * @throws ServingError as `prepare` does; the error of the row
   */
  finish?(
    prepared: Feeds,
    outputs: readonly Tensor[],
    terms: RequestTerms,
    options?: AdmissionOptions,
  ): Promise<readonly Tensor[]>;
  /** Whether `finish` gets all outputs of a row for which the model gives another number of rows. Default: such a row fails. */
  readonly finishesWhole?: boolean;
  /**
   * The tokens of texts, before truncation. Absent if the model's inputs are not texts.
   * @throws ServingError as `prepare` does, and the error of the first text that has one
   */
  tokenize?(
    texts: readonly string[],
    terms: RequestTerms,
    options?: AdmissionOptions & PreprocessOptions,
  ): Promise<readonly TokenizedText[]>;
  /** Decides whether a request could be queued now, before its body is read: see `Batcher.refuse`. */
  refuse: Batcher['refuse'];
  /** Rows that wait to be prepared. */
  depth(): number;
  /** The processes that prepare. */
  readonly processes: Pick<Pool, 'engines' | 'fault' | 'recycle'>;
  /** Ends its processes. Settles when they have exited. */
  close(): Promise<void>;
}

/** What bounds the processes of a preprocessor and its queue. */
export interface PreprocessorOptions extends Pick<PoolOptions, 'onRestart'> {
  readonly capacity: Capacity;
  /** How many processes there are: see `planProcesses`. */
  readonly processes: number;
  /** What all models that decode pictures share. Default: this one decodes as many as it has processes. */
  readonly pictureTurns?: PictureTurns | undefined;
  /** The most rows that may wait to be prepared. */
  readonly maxQueueSize: number;
  /** The time after which a process that runs code of the model's author is killed. */
  readonly runTimeoutMs: number;
  /** The signature of the engine processes, once the first has loaded the model. */
  readonly engine: Promise<Signature>;
  /** The content of `model.json`. */
  readonly manifest: object;
}
