import { badAnswer } from './client-error.ts';
import { writeJson } from './json.ts';
import { ARRAYS, type Datatype, elementCount, isNumeric, type Tensor, type TensorData } from './tensor.ts';

const NOT_FINITE: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/** The `data` of a tensor as JSON, flat. @throws TypeError for FP16, which has no form in JSON. */
export function writeData(name: string, { datatype, data }: Tensor): string {
  if (datatype === 'FP16') throw new TypeError(`${name}: FP16 has no form in JSON, send it as binary`);
  return writeJson(data);
}

/**
 * Reads the `data` of a tensor in a JSON response, nested or flat.
 * @param name of the tensor, for errors
 * @throws ClientError `BAD_ANSWER` if an element is not of the datatype, or lost digits in JSON.parse.
 */
export function readData<D extends Datatype>(
  name: string,
  datatype: D,
  shape: readonly number[],
  data: unknown,
): TensorData[D] {
  const count = elementCount(shape);
  const flat = Array.isArray(data) ? (data.flat(Number.POSITIVE_INFINITY) as unknown[]) : undefined;
  if (flat?.length !== count)
    throw badAnswer(`${name}: expected ${count} elements for [${shape}], the response has ${flat?.length ?? 'none'}`);
  const read = (value: unknown, i: number): unknown => readElement(`${name}: element ${i}`, datatype, value);
  if (!isNumeric(datatype)) return flat.map(read) as TensorData[D];
  const array = new ARRAYS[datatype](count);
  for (let i = 0; i < count; i++) array[i] = read(flat[i], i) as never;
  return array as TensorData[D];
}

function readElement(place: string, datatype: Datatype, value: unknown): unknown {
  if (datatype === 'BOOL' && typeof value === 'boolean') return value;
  if (datatype === 'BYTES' && typeof value === 'string') return value;
  if (datatype === 'FP16') throw badAnswer(`${place} is FP16, which has no form in JSON: use the encoding 'binary'`);
  if (datatype === 'FP32' || datatype === 'FP64') {
    const number = typeof value === 'string' ? NOT_FINITE[value] : value;
    if (typeof number === 'number') return number;
  } else if (typeof value === 'number' && Number.isInteger(value) && isNumeric(datatype)) {
    if (datatype !== 'INT64' && datatype !== 'UINT64') return value;
    if (Number.isSafeInteger(value)) return BigInt(value);
    throw badAnswer(`${place} has more digits than JSON.parse keeps: use the encoding 'binary'`);
  }
  throw badAnswer(`${place}: expected ${datatype}, got ${JSON.stringify(value)}`);
}
