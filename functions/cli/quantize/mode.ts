import type { EditableModel } from '../../onnx/edit/open-model.ts';
import type { NodeProto } from '../../onnx/proto/onnx_pb.ts';

/** A way to store the weights of a model in fewer bits. What is its own to choose, it is given when it is created. */
export interface Mode {
  /** As `--mode` has it. */
  readonly name: string;
  /**
   * Edits the model in place.
   * @throws ServingError `INVALID_INPUT` that says what to do, for a model that the mode cannot change; the reason of the signal
   */
  run(model: EditableModel, options: ModeOptions, progress: ModeProgress): Promise<ModeReport>;
}

/** What every mode is given. */
export interface ModeOptions {
  /** Whether the node may be changed, by `--only` and `--exclude`. */
  readonly isSelected: (node: NodeProto) => boolean;
  /** Ends the work with its reason. */
  readonly signal?: AbortSignal;
}

/** Called with the share of the work that is done; a new title begins a new step, such as `calibrating`. */
export type ModeProgress = (title: string, done: number, total: number) => void;

/** A node as a report has it. */
export interface ReportedNode {
  /** Empty for a node without a name. */
  readonly name: string;
  readonly operator: string;
}

/** What a mode did. */
export interface ModeReport {
  /** Nodes that were replaced, or whose weights or values were; `by` is the operator that computes them now. */
  readonly changed: readonly (ReportedNode & { readonly by: string })[];
  /** Selected nodes of an operator that the mode knows, which stay as they are, and why: `its weight is no constant`. */
  readonly kept: readonly (ReportedNode & { readonly reason: string })[];
  /** What else a user should know: a new version of the operator set, elements that were clamped. A sentence each. */
  readonly notes: readonly string[];
}
