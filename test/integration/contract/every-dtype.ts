import { model, node, type Shape, value } from '../../../functions/onnx/proto/build.ts';
import { DTYPES, type DType } from '../../../functions/tensor/tensor.ts';

/** An input of each dtype, called after it, and two of float32 that are nested deeper; each comes out as `out_<name>`. */
export const INPUTS: Record<string, { dtype: DType; shape: Shape; zeros: string }> = {
  ...Object.fromEntries(
    (Object.keys(DTYPES) as DType[]).map((dtype) => {
      const zero = dtype === 'string' ? '""' : dtype === 'bool' ? 'false' : '0';
      return [dtype, { dtype, shape: ['N', 2], zeros: `[${zero},${zero}]` }];
    }),
  ),
  grid: { dtype: 'float32', shape: ['N', 2, 3], zeros: '[[0,0,0],[0,0,0]]' },
  free: { dtype: 'float32', shape: ['N', 'M', 2], zeros: '[[0,0]]' },
};

export function everyDtype(): Uint8Array {
  const inputs = Object.entries(INPUTS);
  return model({
    name: 'every-dtype',
    nodes: inputs.map(([name]) => node('Identity', [name], [`out_${name}`])),
    inputs: inputs.map(([name, { dtype, shape }]) => value(name, dtype, shape)),
    outputs: inputs.map(([name, { dtype, shape }]) => value(`out_${name}`, dtype, shape)),
  });
}

/** A body of /predict: the JSON texts given, zeros for every other input. undefined leaves an input out. */
export function bodyWith(texts: Readonly<Record<string, string | undefined>>): string {
  const all: Record<string, string | undefined> = {};
  for (const [name, { zeros }] of Object.entries(INPUTS)) all[name] = zeros;
  const members = Object.entries({ ...all, ...texts }).flatMap(([name, text]) =>
    text === undefined ? [] : [`${JSON.stringify(name)}:${text}`],
  );
  return `{"features":{${members.join(',')}}}`;
}
