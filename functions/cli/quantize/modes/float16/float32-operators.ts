import type { NodeProto } from '../../../../onnx/proto/onnx_pb.ts';
import { attributeOf } from '../../attributes.ts';

/**
 * Operators that stay float32: those of `DEFAULT_OP_BLOCK_LIST` of onnxruntime's float16.py, which have no float16 by their
 * definition, lose what they are for, or are computed by no runtime; those that always give float32; and those on sequences.
 */
const BLOCKED: ReadonlySet<string> = new Set([
  'AttnLSTM',
  'CDist',
  'CumSum',
  'Max',
  'MaxpoolWithMask',
  'Min',
  'NonMaxSuppression',
  'RandomUniformLike',
  'Range',
  'RoiAlign',
  'SparseToDenseMatMul',
  'TfIdfVectorizer',
  'TopK',
  'Upsample',
  'WordConvEmbedding',
  'SequenceAt',
  'SequenceConstruct',
  'SequenceEmpty',
  'SequenceErase',
  'SequenceInsert',
  'SequenceLength',
  'SequenceMap',
  'SplitToSequence',
  'ConcatFromSequence',
  'Optional',
  'OptionalGetElement',
  'OptionalHasElement',
]);

/** Domains whose operators have float16 variants: ONNX's own, and onnxruntime's. Those of `ai.onnx.ml` have none. */
const DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx', 'com.microsoft']);

/** Inputs that are float32 in every variant of an operator: `ALWAYS_FLOAT_INPUTS` of float16.py. */
const FLOAT_INPUTS: Readonly<Record<string, readonly number[]>> = {
  GroupNorm: [1, 2],
  Resize: [2],
  SkipGroupNorm: [1, 2],
};

/** Outputs that are float32 in every variant: means and deviations. */
const FLOAT_OUTPUTS: Readonly<Record<string, readonly number[]>> = {
  LayerNormalization: [1, 2],
  SimplifiedLayerNormalization: [1],
  SkipLayerNormalization: [1, 2],
};

/** Whether an operator is computed in float32 alone. */
export function isFloat32Operator(node: NodeProto): boolean {
  return BLOCKED.has(node.opType) || !DOMAINS.has(node.domain) || isReducingScatter(node);
}

/** onnxruntime's Scatter operators add, multiply and compare no float16 on a CPU. */
function isReducingScatter(node: NodeProto): boolean {
  return node.opType.startsWith('Scatter') && attributeOf(node, 'reduction') !== undefined;
}

/** Whether an input of an operator is float32 even if its others are float16. */
export function isFloat32Input({ opType }: NodeProto, input: number): boolean {
  return FLOAT_INPUTS[opType]?.includes(input) === true;
}

/** Whether an output of an operator is float32 even if its inputs are float16. */
export function isFloat32Output({ opType }: NodeProto, output: number): boolean {
  return FLOAT_OUTPUTS[opType]?.includes(output) === true;
}
