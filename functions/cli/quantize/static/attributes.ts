import type { NodeProto } from '../../../onnx/proto/onnx_pb.ts';

const find = ({ attribute }: NodeProto, name: string) => attribute.find((one) => one.name === name);

/** An integer of a node's attributes. @param otherwise its default in the operator's definition */
export function intAttribute(node: NodeProto, name: string, otherwise: number): number {
  return Number(find(node, name)?.i ?? otherwise);
}

/** A floating-point number of a node's attributes. @param otherwise its default in the operator's definition */
export function floatAttribute(node: NodeProto, name: string, otherwise: number): number {
  return find(node, name)?.f ?? otherwise;
}

/** A text of a node's attributes. @param otherwise its default in the operator's definition */
export function textAttribute(node: NodeProto, name: string, otherwise: string): string {
  const bytes = find(node, name)?.s;
  return bytes === undefined ? otherwise : new TextDecoder().decode(bytes);
}
