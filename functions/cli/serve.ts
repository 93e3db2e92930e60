import type { Verb } from './verb.ts';

/** `onnx-cloud-run serve [MODEL]`. */
export const serve: Verb = {
  name: 'serve',
  summary: 'serve a model, or a folder of models',
  add(command) {
    command.argument('[model]', 'a .onnx file, a folder, or gs://bucket/…').action(() => {});
  },
};
