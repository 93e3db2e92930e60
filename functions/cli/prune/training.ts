import { scopesOf, usesIn } from '../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import type { NodeProto } from '../../onnx/proto/onnx_pb.ts';

/** ModelProto's training_info in onnx.proto: graphs of the training, which a runtime of predictions does not read. */
const TRAINING_INFO = 20;

/** What only training has, that was removed. */
export interface TrainingParts {
  /** Steps of training with graphs and weights of their own. */
  readonly steps: number;
  /** Outputs of nodes with the statistics of a batch. */
  readonly outputs: number;
  /** Attributes that nothing reads in a prediction. */
  readonly attributes: number;
}

/**
 * Removes what only training has: `training_info`, the unused outputs of a BatchNormalization after its first, and the attributes
 * `momentum` of a BatchNormalization and `seed` and `ratio` of a Dropout that is not in training. A BatchNormalization in training
 * normalizes by its batch, so it keeps all.
 * @param trainingDropouts those that stay as they are
 */
export function removeTrainingParts({ proto }: EditableModel, trainingDropouts: readonly NodeProto[]): TrainingParts {
  const all = proto.$unknown ?? [];
  const others = all.filter(({ no }) => no !== TRAINING_INFO);
  if (proto.$unknown !== undefined) proto.$unknown = others;
  let [outputs, attributes] = [0, 0];
  for (const scope of scopesOf(proto)) {
    const uses = usesIn(scope);
    for (const node of scope.nodes) {
      if (node.domain !== '' && node.domain !== 'ai.onnx') continue;
      if (node.opType === 'Dropout' && !trainingDropouts.includes(node)) attributes += drop(node, ['seed', 'ratio']);
      if (
        node.opType !== 'BatchNormalization' ||
        node.attribute.some(({ name, i }) => name === 'training_mode' && i !== 0n)
      )
        continue;
      attributes += drop(node, ['momentum']);
      const extra = node.output.slice(1);
      if (extra.length === 0 || !extra.every((name) => uses.isUnused(name))) continue;
      outputs += extra.filter((name) => name !== '').length;
      node.output = node.output.slice(0, 1);
    }
  }
  return { steps: all.length - others.length, outputs, attributes };
}

function drop(node: NodeProto, names: readonly string[]): number {
  const kept = node.attribute.filter(({ name }) => !names.includes(name));
  const dropped = node.attribute.length - kept.length;
  node.attribute = kept;
  return dropped;
}
