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
import { SLICES } from './slices.ts';

/**
 * How each operator treats rows, by its type, with its domain unless that is ONNX's own. A model with any other operator on rows
 * is not proved. CONTRIBUTING.md says how to add a rule.
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
  ...SLICES,
};
