import type { Net } from './net.ts';

const FLOAT = 1n;
const INT64 = 7n;

/** The label of the largest score: skl2onnx picks it from a table [1,C] by ArrayFeatureExtractor, which gives [1,N]. */
export function outputLabel(net: Net, scores: string, classes: number): void {
  const best = net.op('ArgMax', [scores], { axis: 1n, keepdims: 0n });
  const table = net.table(
    'int32',
    [classes],
    Int32Array.from({ length: classes }, (_, i) => i + 10),
  );
  const picked = net.op('ml:ArrayFeatureExtractor', [table, best]);
  const whole = net.op('Cast', [picked], { to: FLOAT });
  const flat = net.op('Reshape', [whole, net.ints(-1)]);
  net.output(net.op('Cast', [flat], { to: INT64 }), 'int64', ['N'], 'output_label');
}
