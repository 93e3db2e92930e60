/**
 * The process that lets onnxruntime optimise a model: it reads an order from its socket, writes the files, and replies. A process of its
 * own, because onnxruntime blocks the thread that calls it: the command line shows progress and ends at Ctrl-C meanwhile.
 */
import { realpathSync } from 'node:fs';
import { Socket } from 'node:net';
import { basename } from 'node:path';
import { json } from 'node:stream/consumers';
import { loadError } from '../../engine/process/load-errors.ts';
import { loadRuntime } from '../../engine/process/session.ts';
import { openModel } from '../../onnx/edit/open-model.ts';
import { writeModel as encodeModel } from '../../onnx/proto/write.ts';
import type { OptimizeOrder, OptimizeReply } from './order.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const SOCKET = 3;
/** Smaller initializers stay in the model, as those that the server maps. */
const LEAST_EXTERNAL_BYTES = 4096;

async function optimize({ path, level, file, dataFile, prepacks }: OptimizeOrder): Promise<void> {
  const { InferenceSession } = await loadRuntime();
  const model = openModel(path);
  const create = (source: string | Uint8Array<ArrayBuffer>) =>
    InferenceSession.create(source as string, {
      graphOptimizationLevel: level,
      optimizedModelFilePath: file,
      executionProviders: ['cpu'],
      // 4: fatal errors only. The error is thrown anyway.
      logSeverityLevel: 4,
      extra: {
        session: {
          model_external_initializers_file_folder_path: model.dataFolder,
          ...(dataFile !== undefined && {
            optimized_model_external_initializers_file_name: basename(dataFile),
            optimized_model_external_initializers_min_size_in_bytes: String(LEAST_EXTERNAL_BYTES),
          }),
          // Without it nothing is packed, which would take as much memory as the weights.
          ...(prepacks ? { save_external_prepacked_constant_initializers: '1' } : { disable_prepacking: '1' }),
        },
      },
    });
  // Its large initializers are mapped. What onnxruntime does not map so, it reads from the file, or says what is wrong with that.
  const mapped = encodeModel(model.proto);
  await create(mapped).catch(() => create(realpathSync(path)));
}

const socket = new Socket({ fd: SOCKET, allowHalfOpen: true });
const order = (await json(socket)) as OptimizeOrder;
const reply: OptimizeReply = await optimize(order).then(
  () => ({}),
  (cause: Error) => ({ fault: loadError(cause, { path: order.path, external: [] }).message }),
);
socket.end(JSON.stringify(reply));
