import { ServingError } from '../../errors.ts';
import { findDifference } from '../../tensor/compare.ts';
import { findJsonDifference } from '../../tensor/compare-json.ts';
import { decodeNested } from '../../tensor/decode.ts';
import { readJson } from '../../tensor/json/reader.ts';
import type { Signature, Tensor } from '../../tensor/tensor.ts';
import type { Golden } from '../folder/manifest.ts';
import type { RowDecoder, RowFeeds } from '../folder/rows.ts';

/**
 * Runs every golden row alone, and compares the outputs that it has with those of the model.
 * @param run gives a tensor for each output of `signature`, with the one row
 * @throws ServingError `MODEL_FAILED` that names the row, the output and the difference; RunError of a run
 */
export async function checkGolden(
  golden: Golden,
  signature: Signature,
  decoder: RowDecoder,
  run: (row: RowFeeds) => Promise<readonly Tensor[]>,
): Promise<void> {
  for (const [i, row] of golden.rows.entries()) {
    const place = `golden.json: rows[${i}]`;
    const feeds = decoder.decode(row.features, `${place}.features`);
    const outputs = await run(feeds);
    for (const [name, value] of Object.entries(row.outputs)) {
      const slot = signature.outputs.findIndex((output) => output.name === name);
      if (slot === -1) throw failed(`${place}.outputs.${name}: the model has no such output`);
      const got = outputs[slot]!;
      if (signature.outputs[slot]!.json) {
        const answer = readJson(Buffer.from(got.data[0] as string));
        const differs = findJsonDifference(value, answer, golden.tolerance);
        if (differs !== undefined) throw failed(`${place}.outputs.${name}: ${differs}`);
        continue;
      }
      const inner = feeds.isRow && got.dims[0] === 1 ? got.dims.slice(1) : got.dims;
      const expected = decodeNested(value, got.dtype, inner, `${place}.outputs.${name}`);
      const difference = findDifference(expected, { ...got, dims: inner } as Tensor, golden.tolerance);
      if (difference !== undefined) {
        const { at, by } = difference;
        const off = Number.isNaN(by) ? '' : `, off by ${by.toPrecision(3)}, tolerance ${golden.tolerance}`;
        throw failed(
          `${place}.outputs.${name}: element ${at} came out as ${difference.got}, expected ${difference.expected}${off}`,
        );
      }
    }
  }
}

function failed(message: string): ServingError {
  return new ServingError('MODEL_FAILED', message);
}
