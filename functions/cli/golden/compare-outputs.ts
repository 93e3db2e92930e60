import type { GoldenRow } from '../../model/folder/manifest.ts';
import { findDifference } from '../../tensor/compare.ts';
import { decodeNested } from '../../tensor/decode.ts';
import type { JsonObject, JsonValue } from '../../tensor/json/reader.ts';
import type { DType } from '../../tensor/tensor.ts';

/**
 * Compares the outputs of a response with those of a golden row. The response has no dtypes: numbers are compared as floats; the server
 * itself has compared integers exactly.
 * @returns the first output that differs, and where and by how much; undefined if none does
 * @throws ServingError `INVALID_INPUT` for an output of another shape or type
 */
export function findFault(row: GoldenRow, outputs: JsonObject, tolerance: number): string | undefined {
  for (const [name, expected] of Object.entries(row.outputs)) {
    const got = outputs[name];
    if (got === undefined) return `outputs.${name}: expected in the response, which has ${Object.keys(outputs)}`;
    const dtype = dtypeOf(expected);
    const shape = shapeOf(expected);
    const difference = findDifference(
      decodeNested(expected, dtype, shape, `golden.json: outputs.${name}`),
      decodeNested(got, dtype, shape, `outputs.${name}`),
      tolerance,
    );
    if (difference === undefined) continue;
    const { at, by } = difference;
    const off = Number.isNaN(by) ? '' : `, off by ${by.toPrecision(3)}, tolerance ${tolerance}`;
    return `outputs.${name}: element ${at} came out as ${difference.got}, expected ${difference.expected}${off}`;
  }
  return undefined;
}

function dtypeOf(value: JsonValue): DType {
  if (Array.isArray(value) && value[0] !== undefined) return dtypeOf(value[0]);
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'string' && !/^(NaN|-?Infinity)$/.test(value) ? 'string' : 'float64';
}

function shapeOf(value: JsonValue): number[] {
  if (!Array.isArray(value) && !(value instanceof Float64Array)) return [];
  return [value.length, ...(value[0] === undefined ? [] : shapeOf(value[0]))];
}
