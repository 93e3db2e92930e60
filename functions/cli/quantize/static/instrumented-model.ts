import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EditableModel, openModel } from '../../../onnx/edit/open-model.ts';
import { writeModel } from '../../../onnx/edit/write-model.ts';
import type { ValueInfoProto } from '../../../onnx/proto/onnx_pb.ts';
import { writeModel as encodeModel } from '../../../onnx/proto/write.ts';
import { type ModelProcess, openModelProcess } from '../../compare/model-process.ts';

/** A copy of a model whose outputs are values of its graph. */
export interface InstrumentedModel {
  /**
   * Loads the model into an engine process.
   * @param values at least one, the outputs of nodes: tensors. The outputs of the process, in this order
   */
  open(values: readonly string[]): Promise<ModelProcess>;
  /** Removes its files. */
  remove(): void;
}

interface InstrumentedModelOptions {
  /** Gets a folder with a copy of the model's weights, as long as the model is used. */
  readonly workFolder: string;
  readonly signal?: AbortSignal | undefined;
}

/** Copies a model, its weights as external data: a file without weights then gives it other outputs. */
export async function instrumentModel(
  model: EditableModel,
  { workFolder, signal }: InstrumentedModelOptions,
): Promise<InstrumentedModel> {
  const folder = mkdtempSync(join(workFolder, '.calibration-'));
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true });
    process.off('exit', remove);
  };
  process.once('exit', remove);
  let files = 0;
  try {
    const path = join(folder, 'model.onnx');
    await writeModel(model, path, { externalData: true, ...(signal && { signal }) });
    const { proto, graph } = openModel(path);
    return {
      async open(values) {
        // onnxruntime infers the types.
        graph.output = values.map(
          (name): ValueInfoProto => ({ $typeName: 'onnx.ValueInfoProto', name, docString: '' }),
        );
        const file = join(folder, `outputs-${files++}.onnx`);
        await writeFile(file, encodeModel(proto));
        return openModelProcess(file, { weights: 'mapped' });
      },
      remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}
