/**
 * What onnxruntime does to a graph. `basic`: constants are folded, nodes that do nothing are removed. `extended`: nodes are also fused to
 * operators of com.microsoft. `all`: convolutions also get the layout of this CPU.
 */
export const LEVELS = ['basic', 'extended', 'all'] as const;
export type Level = (typeof LEVELS)[number];

/** What the optimising process does. */
export interface OptimizeOrder {
  /** The path of the model. */
  readonly path: string;
  readonly level: Level;
  /** The path of the optimised model. */
  readonly file: string;
  /**
   * The path for its weights, in the same folder. Without it, the initializers that are as in the model refer to the model's own files,
   * and the others are in `file`, which then has to be below 2 GB.
   */
  readonly dataFile?: string | undefined;
  /** Whether `dataFile` also gets the weights in the order in which the kernels of this CPU read them. */
  readonly prepacks: boolean;
}

/** How it ended. */
export interface OptimizeReply {
  /** Why onnxruntime refuses the model. */
  readonly fault?: string;
}
