import type { Rules } from '../values/operation.ts';
import { ATTENTION } from './attention.ts';
import { CONVOLUTION } from './convolution.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { LAYOUT } from './layout.ts';
import { LINEAR } from './linear.ts';
import { MACHINE_LEARNING } from './machine-learning.ts';
import { MIXING } from './mixing.ts';
import { QUANTIZATION } from './quantization.ts';
import { RECURRENT } from './recurrent.ts';
import { REDUCTION } from './reduction.ts';
import { SELECTION } from './selection.ts';
import { SEQUENCES } from './sequences.ts';
import { SHAPE_VALUES } from './shape-values.ts';
import { STRETCHES } from './stretches.ts';

/**
 * How each operator treats rows, by its type with its domain unless that is ONNX's own. An operator that is not here is
 * unknown. To add one: write its rule into the file of its kind, with the reason where it is not plain, and put a graph with
 * it, and a twin that must not be joined, into test/helpers/graphs/.
 */
export const RULES: Rules = {
  ...ATTENTION,
  ...CONVOLUTION,
  ...ELEMENTWISE,
  ...LAYOUT,
  ...LINEAR,
  ...MACHINE_LEARNING,
  ...MIXING,
  ...QUANTIZATION,
  ...RECURRENT,
  ...REDUCTION,
  ...SELECTION,
  ...SEQUENCES,
  ...SHAPE_VALUES,
  ...STRETCHES,
};
