import type { Tensor } from '../../../functions/tensor/tensor.ts';
import type { Random } from '../../../scripts/fuzz/random.ts';

/** A model as an exporter writes it, and whether rows of different requests may share one run of it. */
export interface ExportedGraph {
  /** The exporter, and what it exports. */
  readonly name: string;
  /** The bytes of the `.onnx` file; its weights come from a seeded generator. */
  readonly model: () => Uint8Array<ArrayBuffer>;
  /**
   * proved: rows are independent. mixed: rows influence each other, or the outputs do not follow the rows. unknown: it
   * has an operator that no rule knows.
   */
  readonly verdict: 'proved' | 'mixed' | 'unknown';
  /**
   * For mixed and unknown: the first operator whose result does not keep the rows apart, in a sub-graph or function too; for
   * mixed, absent where none does.
   */
  readonly operator?: string;
  /**
   * One request of `rows` rows: tensors in the order of the model's inputs. Every dimension but the first is the same
   * in all requests, so that they can be joined.
   */
  readonly feeds: (random: Random, rows: number) => Tensor[];
  /** False where the feeds hold no NaN, infinities and extremes: the comment there says why. */
  readonly special?: boolean;
  /** For {@link compareWithAlone}; 1e-5 unless given. */
  readonly tolerance?: number;
}
