/** Models with the marks of the tools that people export them with. */

import type { AttributeValue } from '../../functions/onnx/proto/attribute.ts';
import {
  graph,
  initializer,
  mapType,
  model,
  node,
  sequenceType,
  tensorType,
  typedValue,
  value,
} from '../../functions/onnx/proto/build.ts';
import type { NodeProto } from '../../functions/onnx/proto/onnx_pb.ts';

const ML = { domain: 'ai.onnx.ml' };

/** A ZipMap of ai.onnx.ml: `scores` float32 [N,C] -> `output`, a sequence of N maps from label to score. */
export function zipMapNode(scores: string, output: string, labels: readonly (string | number)[]): NodeProto {
  return node('ZipMap', [scores], [output], labelAttribute(labels), ML);
}

function labelAttribute(labels: readonly (string | number)[]): Record<string, AttributeValue> {
  return isText(labels) ? { classlabels_strings: labels } : { classlabels_int64s: labels.map(BigInt) };
}

const isText = (labels: readonly (string | number)[]): labels is readonly string[] => typeof labels[0] === 'string';

/** What a ZipMap gives. */
export const scoreMaps = (key: 'int64' | 'string', scores: 'float32' | 'float64' = 'float32') =>
  sequenceType(mapType(key, tensorType(scores, [])));

/**
 * A scikit-learn classifier as skl2onnx exports it: `x` [N,C], float32 unless given -> `output_label` [N], the label of the largest
 * value, and `output_probability`, a sequence of maps from label to the softmax of `x`.
 */
export function classifier(labels: readonly string[] | readonly number[], dtype: 'float32' | 'float64' = 'float32') {
  const key = isText(labels) ? 'string' : 'int64';
  const table = isText(labels)
    ? initializer('classes', 'string', [labels.length], labels)
    : initializer('classes', 'int64', [labels.length], BigInt64Array.from(labels.map(BigInt)));
  return model({
    name: 'classifier',
    nodes: [
      node('ArgMax', ['x'], ['index'], { axis: 1n, keepdims: 0n }),
      node('Gather', ['classes', 'index'], ['output_label']),
      node('Softmax', ['x'], ['probabilities'], { axis: 1n }),
      zipMapNode('probabilities', 'output_probability', labels),
    ],
    initializers: [table],
    inputs: [value('x', dtype, ['N', labels.length])],
    outputs: [value('output_label', key, ['N']), typedValue('output_probability', scoreMaps(key, dtype))],
    mlOpset: 3,
  });
}

/**
 * A MultiOutputClassifier as skl2onnx exports it: `x` float32 [N,2] -> `label` int64 [N,2] and `probabilities`, a sequence of
 * two tensors [N,2]: the softmax of `x` and that of its negative.
 */
export function multiOutputClassifier() {
  const of = (scores: string, i: number) => [
    node('ArgMax', [scores], [`label_${i}`], { axis: 1n, keepdims: 1n }),
    node('Softmax', [scores], [`p_${i}`], { axis: 1n }),
  ];
  return model({
    name: 'multi-output',
    nodes: [
      node('Neg', ['x'], ['negative']),
      ...of('x', 0),
      ...of('negative', 1),
      node('Concat', ['label_0', 'label_1'], ['label'], { axis: 1n }),
      node('SequenceConstruct', ['p_0', 'p_1'], ['probabilities']),
    ],
    inputs: [value('x', 'float32', ['N', 2])],
    outputs: [value('label', 'int64', ['N', 2]), typedValue('probabilities', sequenceType(tensorType('float32')))],
  });
}

/** What skl2onnx puts in front of a TfidfVectorizer: `x` string [N] -> `y`, in lower case by a locale. */
export function stringNormalizer(locale?: string) {
  const attributes = { case_change_action: 'LOWER', is_case_sensitive: 0n, ...(locale && { locale }) };
  return model({
    name: 'string-normalizer',
    nodes: [node('StringNormalizer', ['x'], ['y'], attributes)],
    inputs: [value('x', 'string', ['N'])],
    outputs: [value('y', 'string', ['N'])],
  });
}

/** `x` float32 [N,2] -> `parts`, a sequence of its rows: no tensor, and nothing that could be made one. */
export function sequenceOutput() {
  return model({
    name: 'sequence-output',
    nodes: [node('SplitToSequence', ['x'], ['parts'], { axis: 0n, keepdims: 1n })],
    inputs: [value('x', 'float32', ['N', 2])],
    outputs: [typedValue('parts', sequenceType(tensorType('float32', [1, 2])))],
  });
}

/** `net/in put.0:0` -> `net/out put.0:0`, float32 [N,2], doubled in the branch of an If: names as frameworks make them. */
export function oddNames() {
  const [input, output] = ['net/in put.0:0', 'net/out put.0:0'];
  const branch = (name: string) =>
    graph({
      name,
      nodes: [node('Add', [input, input], [`${name}/sum.0`])],
      inputs: [],
      outputs: [value(`${name}/sum.0`, 'float32', ['N', 2])],
    });
  return model({
    name: 'odd names/1.0',
    nodes: [node('If', ['yes'], [output], { then_branch: branch('then'), else_branch: branch('else') })],
    initializers: [initializer('yes', 'bool', [], [1])],
    inputs: [value(input, 'float32', ['N', 2])],
    outputs: [value(output, 'float32', ['N', 2])],
  });
}
