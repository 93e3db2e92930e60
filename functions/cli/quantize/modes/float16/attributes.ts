import { DATA_TYPES } from '../../../../onnx/data-type.ts';
import { attribute } from '../../../../onnx/proto/attribute.ts';
import { initializer } from '../../../../onnx/proto/initializer.ts';
import type { NodeProto, TensorProto } from '../../../../onnx/proto/onnx_pb.ts';
import { attributeOf } from '../../attributes.ts';

/** Attributes with the type of the output. */
const TYPES: ReadonlySet<string> = new Set(['to', 'dtype', 'output_datatype']);

/** Makes the types and tensors in the attributes of a node float16. @param onTensor called with each tensor that has to be converted */
export function convertAttributes(node: NodeProto, onTensor: (tensor: TensorProto) => void): void {
  writeDefaults(node);
  for (const one of node.attribute) {
    if (TYPES.has(one.name) && Number(one.i) === DATA_TYPES.float32) one.i = BigInt(DATA_TYPES.float16);
    for (const tensor of one.t === undefined ? one.tensors : [one.t, ...one.tensors]) {
      if (tensor.dataType === DATA_TYPES.float32) onTensor(tensor);
    }
  }
}

/** Makes the float32 that an operator gives without a tensor or a type explicit. */
function writeDefaults(node: NodeProto): void {
  const { opType } = node;
  if (opType === 'Constant') {
    const [one, many] = [attributeOf(node, 'value_float'), attributeOf(node, 'value_floats')];
    if (one !== undefined) node.attribute = [attribute('value', initializer('', 'float32', [], [one.f]))];
    else if (many !== undefined)
      node.attribute = [attribute('value', initializer('', 'float32', [many.floats.length], many.floats))];
  } else if (opType === 'ConstantOfShape' && attributeOf(node, 'value') === undefined) {
    node.attribute.push(attribute('value', initializer('', 'float32', [1], [0])));
  } else if (/^Random(Normal|Uniform)$/.test(opType) && attributeOf(node, 'dtype') === undefined) {
    node.attribute.push(attribute('dtype', BigInt(DATA_TYPES.float32)));
  } else if (/Window$|^MelWeightMatrix$/.test(opType) && attributeOf(node, 'output_datatype') === undefined) {
    node.attribute.push(attribute('output_datatype', BigInt(DATA_TYPES.float32)));
  }
}
