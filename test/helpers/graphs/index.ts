import { GRADIENT_BOOSTING } from './gradient-boosting.ts';
import type { ExportedGraph } from './graph.ts';
import { RAGGED } from './ragged.ts';
import { SCIKIT_LEARN } from './scikit-learn.ts';
import { SCIKIT_LEARN_KERNELS } from './scikit-learn-kernels.ts';
import { SCIKIT_LEARN_TEXT } from './scikit-learn-text.ts';
import { TORCH_LEGACY } from './torch-legacy.ts';
import { TRANSFORMERS } from './transformers.ts';

export type { ExportedGraph } from './graph.ts';

/** Every graph, by the exporter and kind of model that it stands for. */
export const GRAPHS: readonly ExportedGraph[] = [
  ...SCIKIT_LEARN,
  ...SCIKIT_LEARN_KERNELS,
  ...SCIKIT_LEARN_TEXT,
  ...GRADIENT_BOOSTING,
  ...TORCH_LEGACY,
  ...RAGGED,
  ...TRANSFORMERS,
];
