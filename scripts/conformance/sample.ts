import type { AnyTensor, Datatype, ModelMetadata, TensorMetadata } from '../../clients/typescript/src/client.ts';
import { Unproven } from './check.ts';

export type Inputs = Readonly<Record<string, AnyTensor>>;

/**
 * Valid inputs of a model, by its metadata: every dimension of any length is 1, except the first, which is `rows`.
 * @throws Unproven for a datatype that is not in the protocol's table
 */
export function sampleInputs({ inputs }: Pick<ModelMetadata, 'inputs'>, rows = 1): Inputs {
  return Object.fromEntries(inputs.map((input) => [input.name, sampleTensor(input, rows)]));
}

function sampleTensor({ datatype, shape }: TensorMetadata, rows: number): AnyTensor {
  const dims = shape.map((dim, i) => (dim !== -1 ? dim : i === 0 ? rows : 1));
  const count = dims.reduce((product, dim) => product * dim, 1);
  const make = MAKERS[datatype as Datatype];
  if (make === undefined) throw new Unproven(`the model takes ${datatype}`);
  return { datatype, shape: dims, data: make(count) } as AnyTensor;
}

const count = (length: number): number[] => Array.from({ length }, (_, i) => i % 100);

const MAKERS: Readonly<Record<Datatype, (length: number) => AnyTensor['data']>> = {
  BOOL: (length) => count(length).map((i) => i % 2 === 1),
  UINT8: (length) => Uint8Array.from(count(length)),
  UINT16: (length) => Uint16Array.from(count(length)),
  UINT32: (length) => Uint32Array.from(count(length)),
  UINT64: (length) => BigUint64Array.from(count(length), BigInt),
  INT8: (length) => Int8Array.from(count(length)),
  INT16: (length) => Int16Array.from(count(length)),
  INT32: (length) => Int32Array.from(count(length)),
  INT64: (length) => BigInt64Array.from(count(length), BigInt),
  // 0x3c00 is 1, and each further bit 2^-10.
  FP16: (length) => Uint16Array.from(count(length), (i) => 0x3c00 + i),
  FP32: (length) => Float32Array.from(count(length), (i) => i + 0.5),
  FP64: (length) => Float64Array.from(count(length), (i) => i + 0.5),
  BYTES: (length) => count(length).map((i) => `t${i}`),
};
