import { ServingError } from '../../../errors.ts';
import { findDifference } from '../../../tensor/compare.ts';
import { decodeNested } from '../../../tensor/decode.ts';
import { isObject, type JsonObject, type JsonValue, readJson } from '../../../tensor/json/reader.ts';
import { elementCount, type Tensor, type TensorSpec } from '../../../tensor/tensor.ts';
import type { LiveModel } from './live-model.ts';
import type { Row } from './rows.ts';

/** Checks the body of a 2xx response. @returns the fault; undefined if there is none */
export type CheckBody = (index: number, body: Buffer) => string | undefined;

/** The outputs of a response by name, as JSON values. */
type ReadOutputs = (body: JsonObject) => JsonObject;

/** Where the formats that can be checked have their outputs. */
const READERS: Readonly<Record<string, ReadOutputs>> = {
  native: ({ outputs }) => (isObject(outputs) ? outputs : {}),
  oip: ({ outputs }) =>
    Object.fromEntries(
      (Array.isArray(outputs) ? (outputs as unknown as { name: string; data: JsonValue }[]) : []).map(
        ({ name, data }) => [name, data],
      ),
    ),
};

/** Whether the responses of a format can be checked. */
export const isCheckable = (format: string): boolean => Object.hasOwn(READERS, format);

/**
 * Creates the check of responses with one row each. A body that is equal to one that was good is good without being read.
 * @param tolerance the largest difference of a float, relative to the expected value if that is above 1
 */
export function createCheck(format: string, rows: readonly Row[], model: LiveModel, tolerance: number): CheckBody {
  const read = READERS[format]!;
  const good: (Buffer | undefined)[] = rows.map(() => undefined);
  return (index, body) => {
    if (good[index]?.equals(body)) return undefined;
    const { place, expected = {} } = rows[index]!;
    try {
      const value = readJson(body);
      const outputs = read(isObject(value) ? value : {});
      for (const [name, wanted] of Object.entries(expected)) {
        const spec = model.form.signature.outputs.find((output) => output.name === name);
        const fault = compare(spec, wanted, outputs[name], tolerance);
        if (fault !== undefined) return `${place}: outputs.${name}${fault}`;
      }
    } catch (error) {
      if (error instanceof ServingError) return `${place}: ${error.message}`;
      throw error;
    }
    good[index] = Buffer.from(body);
    return undefined;
  };
}

function compare(spec: TensorSpec | undefined, wanted: JsonValue, got: JsonValue | undefined, tolerance: number) {
  if (spec === undefined) return ': the model has no such output';
  if (got === undefined) return ': it is missing in the response';
  const expected = flat(wanted, spec, 'the expected value');
  const difference = findDifference(expected, flat(got, spec, 'the response'), tolerance);
  if (difference === undefined) return undefined;
  const { at, by } = difference;
  const off = Number.isNaN(by) ? '' : `, off by ${by.toPrecision(3)}, tolerance ${tolerance}`;
  return `: element ${at} came out as ${difference.got}, expected ${difference.expected}${off}`;
}

/** A value, nested or not, as a tensor with one dimension. */
function flat(value: JsonValue, { dtype }: TensorSpec, place: string): Tensor {
  const shape = shapeOf(value);
  return { ...decodeNested(value, dtype, shape, place), dims: [elementCount(shape)] };
}

function shapeOf(value: JsonValue): number[] {
  if (!Array.isArray(value) && !(value instanceof Float64Array)) return [];
  return [value.length, ...(value[0] === undefined ? [] : shapeOf(value[0]))];
}
