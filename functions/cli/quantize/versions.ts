import { ServingError } from '../../errors.ts';
import { scopesOf } from '../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import type { ModelProto, NodeProto } from '../../onnx/proto/onnx_pb.ts';
import { listNames } from '../../shorten.ts';
import { attributeOf } from './attributes.ts';

const CONTRIB_DOMAIN = 'com.microsoft';

/** The version of ONNX's own operator set; 1 if the model has none. */
export function opsetOf({ opsetImport }: ModelProto): number {
  return Number(opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 1);
}

/** Declares onnxruntime's own operators, unless the model does. */
export function useContribOperators({ proto }: EditableModel): void {
  if (proto.opsetImport.some(({ domain }) => domain === CONTRIB_DOMAIN)) return;
  proto.opsetImport.push({ $typeName: 'onnx.OperatorSetIdProto', domain: CONTRIB_DOMAIN, version: 1n });
}

/** The operator sets in which a definition changed in a way that a model would notice, from version 7 to 11 of ONNX's changelog. */
const CHANGED: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [9],
  Clip: [11],
  Dropout: [10],
  Pad: [11],
  Resize: [11],
  Scan: [9],
  Scatter: [11],
  Slice: [10],
  TopK: [10],
  Upsample: [9, 10],
};

/** Whether what changed in an operator's definition is what the node uses. */
function isAffected(node: NodeProto): boolean {
  if (node.opType === 'Dropout') return (node.output[1] ?? '') !== '';
  if (node.opType === 'BatchNormalization') return attributeOf(node, 'spatial') !== undefined;
  return true;
}

/** Older operator sets broadcast in another way. */
const OLDEST = 7;

/**
 * Raises the version of ONNX's operator set, where every operator of the model means the same in the newer one.
 * @returns a sentence that says so; undefined if the version is high enough
 * @throws ServingError `INVALID_INPUT` if an operator has changed between the versions
 */
export function raiseOpset({ proto, path }: EditableModel, needed: number, reason: string): string | undefined {
  const opset = opsetOf(proto);
  if (opset >= needed) return undefined;
  const affected = [...scopesOf(proto)].flatMap(({ nodes }) => nodes.filter(isAffected).map(({ opType }) => opType));
  const changed = [...new Set(affected)]
    .filter((name) => CHANGED[name]?.some((at) => at > opset && at <= needed))
    .sort();
  if (opset < OLDEST || changed.length > 0) {
    const why = opset < OLDEST ? 'older ones broadcast in another way' : `${listNames(changed)} changed`;
    throw new ServingError(
      'INVALID_INPUT',
      `${path}: opset ${opset} does not have ${reason}, and the model cannot get opset ${needed} as it is, because ${why}: export it again with opset ${needed} or higher`,
    );
  }
  for (const entry of proto.opsetImport) {
    if (entry.domain === '' || entry.domain === 'ai.onnx') entry.version = BigInt(needed);
  }
  return `the model has opset ${needed} instead of ${opset}, which does not have ${reason}; its other operators mean the same in both`;
}

/**
 * Raises the version of the file format to 4. Before, every initializer is also an input of the graph, in name only; from 4 on, it would be
 * a default that a caller can replace.
 * @returns a sentence that says so; undefined if the version is high enough
 */
export function raiseIrVersion({ proto, graph }: EditableModel): string | undefined {
  if (proto.irVersion >= 4n) return undefined;
  const before = proto.irVersion;
  proto.irVersion = 4n;
  const initializers = new Set(graph.initializer.map(({ name }) => name));
  graph.input = graph.input.filter(({ name }) => !initializers.has(name));
  return `the file has IR version 4 instead of ${before}, in which initializers were listed as inputs`;
}

const QUANTIZED =
  /^(Dynamic)?Quantize|^DequantizeLinear|^QLinear|Integer(ToFloat)?$|NBits$|^QAttention$|^QGemm$|BlockQuantized$/;

/** @throws ServingError `INVALID_INPUT` for a model with quantized operators */
export function refuseQuantized({ proto, path }: EditableModel): void {
  const counts = new Map<string, number>();
  for (const { nodes } of scopesOf(proto)) {
    for (const { opType } of nodes) if (QUANTIZED.test(opType)) counts.set(opType, (counts.get(opType) ?? 0) + 1);
  }
  if (counts.size === 0) return;
  const found = listNames([...counts].map(([name, count]) => `${count} ${name}`));
  throw new ServingError('INVALID_INPUT', `${path}: the model is quantized already (${found}): give the one before`);
}
