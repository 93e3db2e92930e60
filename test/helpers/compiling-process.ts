/**
 * `node compiling-process.ts MODEL FOLDER`: compiles a model into a folder, as a server does, and prints why it could not. With a third
 * argument it prints `compiling` when onnxruntime has written the model, and goes no further.
 */
import { createCompiledModels, LEAST_COMPILED_BYTES } from '../../functions/model/compiled/compiled-models.ts';
import { compileAt } from './compiled.ts';
import { recordTelemetry } from './telemetry.ts';

const [path, folder, stops] = process.argv.slice(2) as [string, string, string?];
const models = createCompiledModels({ always: true, folder, filesAreMemory: false, logger: recordTelemetry().logger });
const model = (await models.open({ name: 'net', bytes: LEAST_COMPILED_BYTES, paths: [path], fetched: undefined }))!;
const make: typeof model.make = (bytes, compile, check) =>
  model.make(bytes, compile, async (files) => {
    if (stops === undefined) return check(files);
    console.log('compiling');
    setInterval(() => {}, 1000);
    await new Promise(() => {});
  });
try {
  await compileAt(path, { make });
  console.log('compiled');
} catch (error) {
  console.log((error as Error).message);
}
models.close();
