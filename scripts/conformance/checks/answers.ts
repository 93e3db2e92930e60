import { type Check, Unproven } from '../check.ts';
import { expect, expectEqual, expectError, expectJson, type JsonObject } from '../expect.ts';
import {
  type Encoding,
  type Extra,
  encodingsOf,
  infer,
  inferJson,
  inferPath,
  jsonTensor,
  readTensors,
  show,
} from '../infer-call.ts';
import { sampleInputs } from '../sample.ts';

/** Row-major elements as arrays in arrays. */
function nest(data: readonly unknown[], shape: readonly number[]): unknown {
  if (shape.length === 0) return data[0];
  const size = data.length / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, i) => nest(data.slice(i * size, (i + 1) * size), shape.slice(1)));
}

const outputsText = (text: string): string => text.slice(text.indexOf('"outputs"'));

/** Checks of responses of 200. */
export const ANSWER_CHECKS: readonly Check[] = [
  {
    number: 14,
    title: 'flat and nested data give the same outputs, byte by byte',
    async run(context, part) {
      const metadata = await context.model();
      const tensors = Object.entries(sampleInputs(metadata));
      await part('infer', async () => {
        const ask = (nested: boolean) =>
          inferJson(context, inferPath(metadata.name), {
            inputs: tensors.map(([name, tensor]) => {
              const { data } = jsonTensor(name, tensor) as { data: unknown[] };
              return jsonTensor(name, tensor, nested ? { data: nest(data, tensor.shape) } : {});
            }),
          });
        const [flat, nested] = [await ask(false), await ask(true)];
        expectJson(flat);
        expectJson(nested);
        expectEqual(outputsText(nested.text), outputsText(flat.text), 'outputs');
      });
    },
  },
  {
    number: 15,
    title: 'id comes back; none where none was sent; 400 where it is no string',
    async run(context, part) {
      const metadata = await context.model();
      const inputs = sampleInputs(metadata);
      const ask = (encoding: Encoding, extra: Extra) =>
        infer(context, encoding, inferPath(metadata.name), inputs, { ...extra });
      for (const encoding of await encodingsOf(context)) {
        for (const id of ['42', '', 'a "b" é'])
          await part(`${encoding}, ${JSON.stringify(id)}`, async () =>
            expectEqual(readTensors(await ask(encoding, { id })).id, id, 'id'),
          );
        for (const id of [1, true, {}, ['a']])
          await part(`${encoding}, ${JSON.stringify(id)}`, async () =>
            expectError(await ask(encoding, { id }), 400, ['id']),
          );
      }
      await part('none', async () => {
        expect(!('id' in expectJson(await ask('json', {}))), 'expected no id in the answer');
      });
    },
  },
  {
    number: 16,
    title: 'outputs gives those that were asked for, in that order; an unknown one is 400',
    async run(context, part) {
      const metadata = await context.model();
      const inputs = sampleInputs(metadata);
      const names = metadata.outputs.map(({ name }) => name);
      const ask = (encoding: Encoding, outputs: readonly string[]) => {
        const parameters = { binary_data: encoding === 'binary' };
        const items = outputs.map((name) => (encoding === 'binary' ? { name, parameters } : { name }));
        return infer(context, encoding, inferPath(metadata.name), inputs, { outputs: items });
      };
      for (const encoding of await encodingsOf(context)) {
        for (const chosen of [[...names].reverse(), names.slice(0, 1), names.slice(-1)])
          await part(`${encoding}, ${chosen.join(', ')}`, async () =>
            expectEqual(Object.keys(readTensors(await ask(encoding, chosen)).outputs), chosen, 'outputs'),
          );
        await part(`${encoding}, unknown`, async () =>
          expectError(await ask(encoding, [...names, 'no-such-output']), 400, ['no-such-output']),
        );
      }
      await part('none named', async () =>
        expectEqual(
          Object.keys(readTensors(await infer(context, 'json', inferPath(metadata.name), inputs)).outputs),
          names,
          'outputs',
        ),
      );
      if (names.length === 1) throw new Unproven('the model has one output only: --fixture');
    },
  },
  {
    number: 17,
    title: 'an output holds as many elements as its shape says, of the datatype in the metadata',
    async run(context, part) {
      const metadata = await context.model();
      const reported = Object.fromEntries(metadata.outputs.map(({ name, datatype }) => [name, datatype]));
      for (const encoding of await encodingsOf(context))
        await part(encoding, async () => {
          const inputs = sampleInputs(metadata, metadata.inputs.every(({ shape }) => shape[0] === -1) ? 3 : 1);
          const answer = await infer(context, encoding, inferPath(metadata.name), inputs);
          // Reading them compares them with their shapes.
          const { modelName, outputs } = readTensors(answer);
          expectEqual(modelName, metadata.name, 'model_name');
          const datatypes = Object.fromEntries(Object.entries(outputs).map(([name, one]) => [name, one.datatype]));
          expectEqual(datatypes, reported, 'the datatypes of the outputs');
          if (encoding === 'binary') return;
          for (const output of expectJson(answer).outputs as JsonObject[])
            expect(
              Array.isArray(output.data) && !output.data.some(Array.isArray),
              `${output.name}: expected flat data, got ${show(answer)}`,
            );
        });
    },
  },
];
