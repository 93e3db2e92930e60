import { DATA_TYPES } from '../../../onnx/data-type.ts';
import type { EditableModel } from '../../../onnx/edit/open-model.ts';
import { readTensor } from '../../../onnx/edit/tensor-data.ts';
import type { GraphProto, TensorProto } from '../../../onnx/proto/onnx_pb.ts';

/** Makes initializers of the float32 tensors that nodes of the operator Constant have: some exporters write weights so. */
export function liftConstants(graph: GraphProto): void {
  const lifted = new Set(
    graph.node.filter(({ opType, domain, attribute: [first] }) => {
      return opType === 'Constant' && isOnnx(domain) && first?.name === 'value' && isFloat32(first.t);
    }),
  );
  const returned = new Set(graph.output.map(({ name }) => name));
  for (const node of lifted) {
    const name = node.output[0]!;
    // An output of the graph that is an initializer would be no output of a node any more.
    if (returned.has(name)) lifted.delete(node);
    else graph.initializer.push(Object.assign(node.attribute[0]!.t!, { name }));
  }
  graph.node = graph.node.filter((node) => !lifted.has(node));
}

/** Whether a node is of ONNX's own operator set. */
export const isOnnx = (domain: string): boolean => domain === '' || domain === 'ai.onnx';

const isFloat32 = (tensor: TensorProto | undefined): boolean => tensor?.dataType === DATA_TYPES.float32;

/**
 * The float32 initializers of the model's graph that are constants, by name: from IR version 4 on, one that is also an input is the
 * default of a value that callers may give.
 */
export function constantsOf({ proto, graph }: EditableModel): Map<string, TensorProto> {
  const inputs = new Set(proto.irVersion >= 4n ? graph.input.map(({ name }) => name) : []);
  const constants = graph.initializer.filter((tensor) => isFloat32(tensor) && !inputs.has(tensor.name));
  return new Map(constants.map((tensor) => [tensor.name, tensor]));
}

/** The elements of a float32 tensor. */
export async function readFloats(model: EditableModel, tensor: TensorProto): Promise<Float32Array<ArrayBuffer>> {
  return new Float32Array((await readTensor(model, tensor)).buffer);
}
