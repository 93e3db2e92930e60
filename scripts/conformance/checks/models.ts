import { type Check, Unproven } from '../check.ts';
import { expect, expectEqual, expectError, expectJson, type JsonObject } from '../expect.ts';
import { ALL_TYPES, DTYPES, VERSIONED } from '../fixture.ts';
import { encodingsOf, infer, inferPath, readOnly, readTensors, show } from '../infer-call.ts';
import { sampleInputs } from '../sample.ts';

const UNKNOWN = 'no-such-model';
const path = (name: string): string => `/v2/models/${encodeURIComponent(name)}`;

function checkTensors(tensors: unknown, place: string): void {
  expect(Array.isArray(tensors), `${place}: expected an array, got ${JSON.stringify(tensors)}`);
  for (const [i, tensor] of (tensors as JsonObject[]).entries()) {
    const { name, datatype, shape } = tensor;
    expect(typeof name === 'string', `${place}[${i}].name: expected a string, got ${JSON.stringify(name)}`);
    expect(Object.hasOwn(DTYPES, String(datatype)), `${place}[${i}].datatype: ${datatype} is none of the protocol's`);
    const whole = Array.isArray(shape) && shape.every((dim) => Number.isInteger(dim) && dim >= -1);
    expect(whole, `${place}[${i}].shape: expected whole numbers from -1 on, got ${JSON.stringify(shape)}`);
  }
}

export const MODEL_CHECKS: readonly Check[] = [
  {
    number: 4,
    title: "a model's metadata: names, datatypes and shapes, platform onnx_onnxv1",
    async run(context, part) {
      const { name } = await context.model();
      for (const model of context.fixture ? [name, ALL_TYPES] : [name])
        await part(model, async () => {
          const metadata = await context.metadata(model);
          expectEqual(metadata.name, model, 'name');
          expectEqual(metadata.platform, 'onnx_onnxv1', 'platform');
          checkTensors(metadata.inputs, 'inputs');
          checkTensors(metadata.outputs, 'outputs');
          const { versions = [] } = metadata;
          const strings = Array.isArray(versions) && versions.every((one) => typeof one === 'string');
          expect(strings, `versions: expected an array of strings, got ${JSON.stringify(versions)}`);
        });
      if (!context.fixture) return;
      await part('every datatype', async () => {
        const { inputs } = await context.metadata(ALL_TYPES);
        const expected = Object.keys(DTYPES).map((datatype) => ({
          name: `in_${datatype.toLowerCase()}`,
          datatype,
          shape: [-1, 2],
        }));
        const reported = (inputs as JsonObject[]).map(({ name, datatype, shape }) => ({ name, datatype, shape }));
        expectEqual(reported, expected, 'inputs');
      });
    },
  },
  {
    number: 5,
    title: 'a model tells that it is ready; 503 before it is loaded',
    needs: ['fresh'],
    async run(context, part) {
      const { name } = await context.model();
      await part('after', async () => {
        const answer = expectJson(await context.send({ method: 'GET', path: `${path(name)}/ready` }));
        expectEqual([answer.name, answer.ready], [name, true], 'name and ready');
      });
      const { model } = context.startup!.before;
      if (model.length === 0) throw new Unproven('it was ready at the first look: start it on a larger model');
      await part('before', async () => {
        // The last of them may have arrived just when it was loaded.
        for (const answer of model.slice(0, Math.max(1, model.length - 1)))
          expect(answer.status === 503, `expected 503, got ${show(answer)}`);
      });
    },
  },
  {
    number: 6,
    title: 'an unknown model is 404 with a JSON error: metadata, ready, infer',
    async run(context, part) {
      for (const suffix of ['', '/ready'])
        await part(`GET …${suffix}`, async () =>
          expectError(await context.send({ method: 'GET', path: path(UNKNOWN) + suffix }), 404),
        );
      const inputs = sampleInputs(await context.model());
      for (const encoding of await encodingsOf(context))
        await part(`infer, ${encoding}`, async () =>
          expectError(await infer(context, encoding, inferPath(UNKNOWN), inputs), 404),
        );
    },
  },
  {
    number: 7,
    title: 'an unknown version is 404; a known one answers as the model does',
    async run(context, part) {
      const { name, versions = [] } = await context.model();
      const inputs = sampleInputs(await context.model());
      for (const suffix of ['', '/ready'])
        await part(`unknown, GET …${suffix}`, async () =>
          expectError(await context.send({ method: 'GET', path: `${path(name)}/versions/987654${suffix}` }), 404),
        );
      await part('unknown, infer', async () =>
        expectError(await infer(context, 'json', inferPath(name, '987654'), inputs), 404),
      );
      if (versions.length === 0 && !context.fixture) throw new Unproven('the model tells no versions: --fixture');
      for (const encoding of versions.length === 0 ? [] : await encodingsOf(context))
        await part(`known, infer, ${encoding}`, async () => {
          const unnamed = readTensors(await infer(context, encoding, inferPath(name), inputs));
          const version = unnamed.modelVersion ?? versions.at(-1)!;
          const named = readTensors(await infer(context, encoding, inferPath(name, version), inputs));
          expectEqual(named, unnamed, `the answer of version ${version}`);
        });
      if (!context.fixture) return;
      const x = { datatype: 'FP32', shape: [1, 1], data: Float32Array.of(10) } as const;
      for (const [version, expected] of [
        ['1', 11],
        ['2', 12],
        [undefined, 12],
      ] as const)
        await part(`version ${version ?? 'not named'} of two`, async () => {
          const { data } = readOnly(await infer(context, 'json', inferPath(VERSIONED, version), { x }));
          expectEqual(data, Float32Array.of(expected), 'y');
        });
    },
  },
];
