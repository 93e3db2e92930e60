import type { AttributeProto, NodeProto } from '../../onnx/proto/onnx_pb.ts';

/** An attribute of a node; undefined if it is not set. */
export function attributeOf({ attribute }: NodeProto, name: string): AttributeProto | undefined {
  return attribute.find((one) => one.name === name);
}

/** The value of an ONNX int. */
export function intOf(node: NodeProto, name: string, fallback: number): number {
  const found = attributeOf(node, name);
  return found === undefined ? fallback : Number(found.i);
}

/** The value of an ONNX float. */
export function floatOf(node: NodeProto, name: string, fallback: number): number {
  return attributeOf(node, name)?.f ?? fallback;
}

/** A list of ONNX ints; undefined if it is not set. */
export function intsOf(node: NodeProto, name: string): number[] | undefined {
  return attributeOf(node, name)?.ints.map(Number);
}
