import type { AnyTensor } from '../../../clients/typescript/src/client.ts';
import { type Check, type Context, Unproven } from '../check.ts';
import { expect, expectEqual, expectError, expectJson, type JsonObject } from '../expect.ts';
import { ALL_TYPES, IDENTITY, LOGARITHM } from '../fixture.ts';
import { type Encoding, encodingsOf, infer, inferJson, inferPath, readOnly, readTensors, show } from '../infer-call.ts';
import { sampleInputs } from '../sample.ts';

/** Sends `x` as a text, whose elements are not parsed on this side. */
const inferText = (context: Context, model: string, datatype: string, shape: readonly number[], data: string) =>
  inferJson(
    context,
    inferPath(model),
    `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[${shape}],"data":${data}}]}`,
  );

async function roundTrip(context: Context, encoding: Encoding, model: string, x: AnyTensor): Promise<void> {
  expectEqual(readOnly(await infer(context, encoding, inferPath(model), { x })), x, 'the output');
}

/** Neighbours of 2^53, which doubles can't distinguish, and the ends of the range. */
const LARGE = [9007199254740993n, -9007199254740993n, 2n ** 63n - 1n, -(2n ** 63n)];

/** Texts that Python's json writes, and KServe's text for a missing value. */
const NOT_FINITE: readonly [token: string, value: number][] = [
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['null', Number.NaN],
];

const REFUSED: readonly [keyof typeof IDENTITY, string][] = [
  ['INT64', '1.5'],
  ['INT64', '9223372036854775808'],
  ['INT64', '"1"'],
  ['INT64', 'true'],
  ['UINT8', '256'],
  ['UINT8', '-1'],
  ['UINT8', '1e99'],
  ['BOOL', '2'],
  ['BOOL', '"true"'],
  ['INT64', 'null'],
  ['FP32', '"x"'],
  ['FP32', '{}'],
  ['BYTES', 'null'],
  ['BYTES', '1'],
];

export const VALUE_CHECKS: readonly Check[] = [
  {
    number: 18,
    title: 'INT64 keeps all digits: 9007199254740993',
    needs: ['fixture'],
    async run(context, part) {
      for (let i = 0; i < LARGE.length; i += 2) {
        const pair = LARGE.slice(i, i + 2);
        await part(`json, ${pair.join(' and ')}`, async () => {
          const answer = await inferText(context, IDENTITY.INT64, 'INT64', [1, 2], `[${pair}]`);
          expectJson(answer);
          const compact = answer.text.replace(/\s/g, '');
          expect(compact.includes(`"data":[${pair}]`), `expected the same digits, got ${show(answer)}`);
        });
      }
      if (!(await context.hasBinary())) return;
      await part('binary', () =>
        roundTrip(context, 'binary', IDENTITY.INT64, {
          datatype: 'INT64',
          shape: [2, 2],
          data: BigInt64Array.from(LARGE),
        }),
      );
    },
  },
  {
    number: 19,
    title: 'an element that the datatype does not hold is 400: INT64 1.5, UINT8 256, BOOL 2, INT64 null',
    needs: ['fixture'],
    async run(context, part) {
      for (const [datatype, element] of REFUSED)
        await part(`${datatype} ${element}`, async () =>
          expectError(await inferText(context, IDENTITY[datatype], datatype, [1, 2], `[${element},${element}]`), 400),
        );
    },
  },
  {
    number: 20,
    title: 'NaN and infinities give JSON that a strict parser takes, or a JSON error',
    needs: ['fixture'],
    async run(context, part) {
      const x: AnyTensor = { datatype: 'FP32', shape: [2, 1], data: Float32Array.of(-1, 0) };
      await part('json', async () => {
        const answer = await infer(context, 'json', inferPath(LOGARITHM), { x });
        if (answer.status !== 200) expectError(answer, [400, 422, 500]);
        else expectEqual((expectJson(answer).outputs as JsonObject[]).length, 1, 'the number of outputs');
      });
      if (!(await context.hasBinary())) return;
      await part('binary', async () => {
        const y = readOnly(await infer(context, 'binary', inferPath(LOGARITHM), { x }));
        // As numbers: a NaN has many bit patterns.
        expectEqual(Array.from<unknown>(y.data), [Number.NaN, Number.NEGATIVE_INFINITY], 'y');
      });
    },
  },
  {
    number: 21,
    title: 'BOOL and BYTES come back, with Unicode and empty texts',
    needs: ['fixture'],
    async run(context, part) {
      const texts = ['', 'é€😀', '\u0000"\\\n', 'a'.repeat(300)];
      for (const encoding of await encodingsOf(context)) {
        await part(`${encoding}, BOOL`, () =>
          roundTrip(context, encoding, IDENTITY.BOOL, { datatype: 'BOOL', shape: [1, 2], data: [true, false] }),
        );
        // A NUL ends an element in ONNX Runtime's strings.
        const sent = texts.map((text) => text.replaceAll('\u0000', ''));
        await part(`${encoding}, BYTES`, () =>
          roundTrip(context, encoding, IDENTITY.BYTES, { datatype: 'BYTES', shape: [2, 2], data: sent }),
        );
      }
      if (!(await context.hasBinary())) return;
      await part('binary, every datatype at once', async () => {
        const answer = await context.send({ method: 'GET', path: `/v2/models/${ALL_TYPES}` });
        const inputs = sampleInputs(expectJson(answer) as never);
        const { outputs } = readTensors(await infer(context, 'binary', inferPath(ALL_TYPES), inputs));
        for (const [name, tensor] of Object.entries(inputs))
          expectEqual(outputs[name.replace('in_', 'out_')], tensor, name.replace('in_', 'out_'));
      });
    },
  },
  {
    number: 22,
    title: 'FP16 in JSON is 400 or comes back; in bytes every bit comes back',
    needs: ['fixture'],
    async run(context, part) {
      await part('json', async () => {
        const answer = await inferText(context, IDENTITY.FP16, 'FP16', [1, 2], '[1.5,-2]');
        if (answer.status !== 200) return expectError(answer, 400, ['FP16']);
        const [output] = expectJson(answer).outputs as JsonObject[];
        expectEqual(output?.data, [1.5, -2], 'y');
      });
      if (!(await context.hasBinary())) throw new Unproven('the server offers no binary_tensor_data');
      await part('binary', () =>
        roundTrip(context, 'binary', IDENTITY.FP16, {
          datatype: 'FP16',
          shape: [3, 2],
          // 1, -2, the smallest above 0, infinity, negative 0, the largest.
          data: Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0x8000, 0x7bff),
        }),
      );
    },
  },
  {
    number: 35,
    title: 'bare NaN and Infinity, and null for a missing value, come back as such in bytes, or are 400',
    needs: ['fixture'],
    binary: true,
    async run(context, part) {
      for (const [token, expected] of NOT_FINITE)
        await part(token, async () => {
          const input = `{"name":"x","datatype":"FP32","shape":[1,2],"data":[${token},1.5]}`;
          const body = `{"inputs":[${input}],"parameters":{"binary_data_output":true}}`;
          // As Triton's client sends it: without a content type.
          const answer = await context.send({ method: 'POST', path: inferPath(IDENTITY.FP32), body });
          if (answer.status !== 200) return expectError(answer, 400);
          expectEqual(Array.from<unknown>(readOnly(answer).data), [expected, 1.5], 'y');
        });
    },
  },
];
