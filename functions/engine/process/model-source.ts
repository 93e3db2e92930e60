import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Inspection } from '../../onnx/inspect.ts';
import { mapWeights, type WeightMapping } from '../../onnx/map-weights.ts';
import { openBytes } from '../../onnx/wire.ts';
import type { Stamps } from './file-stamp.ts';

/**
 * `packed`: each session has its own copy of the weights of matrix products, in the order in which its kernels read them.
 * `mapped`: it reads the pages of the file, which all sessions share.
 */
export type WeightUse = 'packed' | 'mapped';

/** How to load the weights; `copied`: by reading the file as it is, for this reason. */
export type WeightChoice = WeightUse | { readonly copied: string };

/** A model as onnxruntime has optimised it on such a machine, with its weights packed in a file that all sessions map. */
export interface CompiledFiles {
  /** The path of the optimised graph, which refers to the file of the weights beside it. */
  readonly graph: string;
  /** The stamps that both files must have. */
  readonly stamps: Stamps;
}

/** How a session has its weights. */
export interface WeightState {
  /**
   * `compiled`: it reads packed weights from the pages of a file. `copied`: onnxruntime has read the model's file into memory of its
   * own.
   */
  readonly use: WeightUse | 'compiled' | 'copied';
  /** Bytes of the model's file and of its external data that onnxruntime maps; of a compiled model, those that it has instead. */
  readonly mappedBytes: number;
  /** Why they are not as they were wanted. */
  readonly why?: string;
}

/** An output that was a ZipMap's sequence of maps in the file, and is the tensor of its scores in the session: [rows, classes]. */
export interface PatchedOutput {
  readonly output: string;
  /** The classes, by column. */
  readonly labels: readonly string[];
  /** The type of the labels in the model. An int64 label is in `labels` as decimal digits. */
  readonly of: 'string' | 'int64';
}

/** A model for onnxruntime to load. */
export interface ModelSource {
  /** The path of the file, or the bytes of a model without the weights that `folder` has. */
  readonly model: string | Uint8Array<ArrayBuffer>;
  /** The folder of the external data of a model in bytes. */
  readonly folder: string;
  readonly patched: readonly PatchedOutput[];
  readonly weights: WeightState;
}

/**
 * Below this part of the file, mapping saves less memory than the rest of the model takes while it is read as bytes: the file of a
 * tree ensemble is all attributes.
 */
const LEAST_MAPPED_SHARE = 0.5;

/**
 * Reads a model so that its weights are not read: they become external data at their place in the model's own file, which
 * onnxruntime maps. The model refers to no other file than itself and those that it names. Outputs that are not tensors become
 * tensors.
 * @throws ServingError `MODEL_FAILED` for outputs that cannot become tensors
 */
export async function readSource(
  path: string,
  { bytes, external, outputs }: Inspection,
  choice: WeightChoice,
): Promise<ModelSource> {
  // A model with external data of its own has one folder for both. Otherwise a link to the file may lead anywhere.
  const file = external.length === 0 ? realpathSync(path) : resolve(path);
  const mapping = typeof choice === 'string' ? findMapping(path, basename(file)) : undefined;
  const isMapped = mapping !== undefined && mapping.bytes >= bytes * LEAST_MAPPED_SHARE;
  // onnxruntime maps external data itself.
  const weights = weightState(choice, (isMapped ? mapping.bytes : 0) + sizeOf(external, dirname(file)));
  // An output without a type in the file is left out here: onnxruntime infers its type, which is checked after the load.
  const others = outputs.filter(({ isTensor, type }) => !isTensor && type !== undefined);
  if (others.length === 0 && !isMapped) return { model: path, folder: dirname(file), patched: [], weights };
  const { patchOutputs } = await import('../../onnx/patch-outputs.ts');
  const patch = patchOutputs(path, others, isMapped ? mapping.editsOf : undefined);
  const patched = patch.scores.map(({ output, labels: { kind, values } }): PatchedOutput => {
    return { output, labels: values, of: kind === 'strings' ? 'string' : 'int64' };
  });
  return { model: patch.bytes, folder: dirname(file), patched, weights };
}

function sizeOf(external: readonly string[], folder: string): number {
  const sizes = external.map((location) => {
    try {
      return statSync(join(folder, location)).size;
    } catch {
      // onnxruntime says what is wrong with it.
      return 0;
    }
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}

function findMapping(path: string, file: string): WeightMapping {
  const bytes = openBytes(path);
  try {
    return mapWeights(bytes, file);
  } finally {
    bytes.close();
  }
}

function weightState(choice: WeightChoice, mappedBytes: number): WeightState {
  if (typeof choice !== 'string') return { use: 'copied', mappedBytes, why: choice.copied };
  if (mappedBytes > 0) return { use: choice, mappedBytes };
  return { use: 'copied', mappedBytes, why: 'less than half of the file are tensors that can be mapped' };
}
