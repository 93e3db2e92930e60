import { graph, model, node, type Shape, value } from '../../scripts/onnx/build.ts';
import type { NodeProto, TensorProto } from '../../scripts/onnx/onnx_pb.ts';

/** `x` -> `y`, both float32 of one shape. */
export function unary(shape: Shape, nodes: NodeProto[], initializers: TensorProto[] = []) {
  return model({
    name: 'unary',
    nodes,
    initializers,
    inputs: [value('x', 'float32', shape)],
    outputs: [value('y', 'float32', shape)],
  });
}

/** `y` = `x`, after a Loop of as many steps as the int64 scalar `steps` says, which `count` computes. */
export function loop(count: NodeProto[], initializers: TensorProto[]) {
  const body = graph({
    name: 'step',
    nodes: [node('Identity', ['go_on'], ['go_on_too']), node('Identity', ['state'], ['next'])],
    inputs: [value('step', 'int64', []), value('go_on', 'bool', []), value('state', 'float32', ['N', 1])],
    outputs: [value('go_on_too', 'bool', []), value('next', 'float32', ['N', 1])],
  });
  return unary(['N', 1], [...count, node('Loop', ['steps', '', 'x'], ['y'], { body })], initializers);
}
