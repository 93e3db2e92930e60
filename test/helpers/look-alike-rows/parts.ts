import type { Net, Style } from '../graphs/net.ts';

/** A graph that looks as if it kept rows apart, with one thing that does not. */
export interface LookAlike {
  readonly title: string;
  /** Writes the nodes; gives the name of the output. */
  readonly write: (net: Net) => string;
  readonly style?: Partial<Style>;
}

export const STYLE: Style = {
  producer: 'test',
  opset: 17,
  irVersion: 8,
  valueName: (op, index) => `${op}_${index}`,
  constants: 'initializer',
};

export const x = (net: Net, ...dims: (number | string)[]): string => net.input('x', 'float32', ['N', ...dims]);

/** A list of sizes as floats. */
export const asFloat = (net: Net, sizes: string): string => net.op('Cast', [sizes], { to: 1n });

/** A list of as many numbers as the run has rows, which is a constant to every row. */
export function numbersOfRows(net: Net, from: string): string {
  const rows = net.op('Slice', [net.op('Shape', [from]), net.ints(0), net.ints(1)]);
  return net.op('Slice', [net.table('float32', [64], Array(64).fill(1)), net.ints(0), rows]);
}
