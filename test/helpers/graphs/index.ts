import { DECODERS } from './decoders.ts';
import { DETECTORS } from './detectors.ts';
import { FUNCTIONS_AND_SUBGRAPHS } from './functions-and-subgraphs.ts';
import { FUSED } from './fused.ts';
import { GRADIENT_BOOSTING } from './gradient-boosting.ts';
import type { ExportedGraph } from './graph.ts';
import { LOOK_ALIKES } from './look-alikes.ts';
import { OLD_OPSETS } from './old-opsets.ts';
import { QUANTIZED } from './quantized.ts';
import { RAGGED } from './ragged.ts';
import { RECURRENT } from './recurrent.ts';
import { SCIKIT_LEARN } from './scikit-learn.ts';
import { SCIKIT_LEARN_KERNELS } from './scikit-learn-kernels.ts';
import { SCIKIT_LEARN_TEXT } from './scikit-learn-text.ts';
import { TEXTS_AND_COLUMNS } from './texts-and-columns.ts';
import { TF2ONNX } from './tf2onnx.ts';
import { TORCH_DYNAMO } from './torch-dynamo.ts';
import { TORCH_LEGACY } from './torch-legacy.ts';
import { TRANSFORMERS } from './transformers.ts';
import { VISION } from './vision.ts';

export type { ExportedGraph } from './graph.ts';

/** Every graph, by the exporter and kind of model that it stands for. */
export const GRAPHS: readonly ExportedGraph[] = [
  ...SCIKIT_LEARN,
  ...SCIKIT_LEARN_KERNELS,
  ...SCIKIT_LEARN_TEXT,
  ...TEXTS_AND_COLUMNS,
  ...GRADIENT_BOOSTING,
  ...TF2ONNX,
  ...TORCH_LEGACY,
  ...TORCH_DYNAMO,
  ...OLD_OPSETS,
  ...RAGGED,
  ...LOOK_ALIKES,
  ...TRANSFORMERS,
  ...DECODERS,
  ...VISION,
  ...RECURRENT,
  ...QUANTIZED,
  ...DETECTORS,
  ...FUSED,
  ...FUNCTIONS_AND_SUBGRAPHS,
];
