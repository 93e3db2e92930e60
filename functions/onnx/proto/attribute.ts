import { create, isMessage } from '@bufbuild/protobuf';
import { ATTRIBUTE_TYPES } from '../data-type.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from './onnx_pb.ts';

/** The value of a node's attribute: a `bigint` is an ONNX int, a `number` a float. A list has elements of one kind, and is not empty. */
export type AttributeValue =
  | bigint
  | number
  | string
  | TensorProto
  | GraphProto
  | readonly bigint[]
  | readonly number[]
  | readonly string[]
  | AttributeReference;

/** In a function's body: the attribute of that name of the caller. */
export interface AttributeReference {
  readonly refersTo: string;
  readonly type: keyof typeof ATTRIBUTE_TYPES;
}

/** Makes an attribute. @throws TypeError for an empty list, whose kind is not known, and for one of mixed kinds */
export function attribute(name: string, value: AttributeValue): AttributeProto {
  return create(AttributeProtoSchema, { name, ...content(name, value) });
}

function content(name: string, value: AttributeValue) {
  if (typeof value === 'bigint') return { type: ATTRIBUTE_TYPES.int, i: value };
  if (typeof value === 'number') return { type: ATTRIBUTE_TYPES.float, f: value };
  if (typeof value === 'string') return { type: ATTRIBUTE_TYPES.string, s: utf8(value) };
  if ('refersTo' in value) return { type: ATTRIBUTE_TYPES[value.type], refAttrName: value.refersTo };
  if (isMessage(value, TensorProtoSchema)) return { type: ATTRIBUTE_TYPES.tensor, t: value };
  if (isMessage(value, GraphProtoSchema)) return { type: ATTRIBUTE_TYPES.graph, g: value };
  if (all(value, 'bigint')) return { type: ATTRIBUTE_TYPES.ints, ints: value };
  if (all(value, 'number')) return { type: ATTRIBUTE_TYPES.floats, floats: value };
  if (all(value, 'string')) return { type: ATTRIBUTE_TYPES.strings, strings: value.map(utf8) };
  throw new TypeError(`attribute ${name}: expected a list of one kind, bigint, number or string, and not empty`);
}

interface Kinds {
  bigint: bigint;
  number: number;
  string: string;
}

function all<K extends keyof Kinds>(list: readonly unknown[], kind: K): list is Kinds[K][] {
  return list.length > 0 && list.every((item) => typeof item === kind);
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
