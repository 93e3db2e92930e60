/**
 * The process that lets onnxruntime optimise a model: it reads an order from its socket, writes the files, and replies. A process of its
 * own, because onnxruntime blocks the thread that calls it: the command line shows progress and ends at Ctrl-C meanwhile.
 */
import { realpathSync } from 'node:fs';
import { Socket } from 'node:net';
import { basename } from 'node:path';
import { json } from 'node:stream/consumers';
import { loadError } from '../../engine/process/load-errors.ts';
import { createNativeSession, type RuntimeOptions } from '../../engine/process/runtime.ts';
import { openModel } from '../../onnx/edit/open-model.ts';
import { writeModel as encodeModel } from '../../onnx/proto/write.ts';
import type { OptimizeOrder, OptimizeReply } from './order.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const SOCKET = 3;
/** Smaller initializers stay in the model, as those that the server maps. */
const LEAST_EXTERNAL_BYTES = 4096;

function optimize({ path, level, file, dataFile, prepacks }: OptimizeOrder): void {
  const model = openModel(path);
  const options: RuntimeOptions = {
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
  };
  // Its large initializers are mapped. What onnxruntime does not map so, it reads from the file, or says what is wrong with that.
  try {
    createNativeSession(encodeModel(model.proto), options);
  } catch {
    createNativeSession(realpathSync(path), options);
  }
}

const socket = new Socket({ fd: SOCKET, allowHalfOpen: true });
const order = (await json(socket)) as OptimizeOrder;
let reply: OptimizeReply = {};
try {
  optimize(order);
} catch (cause) {
  reply = { fault: loadError(cause as Error, { path: order.path, external: [] }).message };
}
socket.end(JSON.stringify(reply));
