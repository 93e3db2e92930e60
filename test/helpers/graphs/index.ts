import { GRADIENT_BOOSTING } from './gradient-boosting.ts';
import type { ExportedGraph } from './graph.ts';
import { RAGGED } from './ragged.ts';
import { SCIKIT_LEARN } from './scikit-learn.ts';
import { SCIKIT_LEARN_KERNELS } from './scikit-learn-kernels.ts';
import { SCIKIT_LEARN_TEXT } from './scikit-learn-text.ts';

export type { ExportedGraph } from './graph.ts';

export const GRAPHS: readonly ExportedGraph[] = [
  ...SCIKIT_LEARN,
  ...SCIKIT_LEARN_KERNELS,
  ...SCIKIT_LEARN_TEXT,
  ...GRADIENT_BOOSTING,
  ...RAGGED,
];
