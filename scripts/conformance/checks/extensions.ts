import type { ModelMetadata } from '../../../clients/typescript/src/client.ts';
import { type Check, type Context, Unproven } from '../check.ts';
import { expect, expectEqual, expectError, expectJson, type JsonObject } from '../expect.ts';
import { IDENTITY } from '../fixture.ts';
import { encodingsOf, infer, inferPath, readOnly } from '../infer-call.ts';

/** @throws Unproven if the server does not list the extension. */
async function requireExtension(context: Context, name: string): Promise<void> {
  const { extensions } = await context.server();
  if (!extensions?.includes?.(name)) throw new Unproven(`the server offers no ${name}`);
}

/** `DataType` of Triton's model_config.proto. */
const dataType = (datatype: string): string => `TYPE_${datatype === 'BYTES' ? 'STRING' : datatype}`;

type Tensors = ModelMetadata['inputs'];

/** The tensors of a configuration, in the form of metadata. */
function expectConfigured(configured: unknown, tensors: Tensors, batched: boolean, what: string): void {
  expect(Array.isArray(configured), `${what}: expected an array, got ${JSON.stringify(configured)}`);
  const reported = (configured as JsonObject[]).map(({ name, data_type, dims }) => [
    name,
    data_type,
    batched ? [-1, ...(dims as number[])] : dims,
  ]);
  const expected = tensors.map(({ name, datatype, shape }) => [name, dataType(datatype), shape]);
  expectEqual(reported, expected, `${what} of the configuration, beside the metadata`);
}

/** The highest element of each row has a different index. */
const SCORES = { datatype: 'FP32', shape: [2, 2], data: Float32Array.of(0.25, 0.75, 3, 1) } as const;

/** Checks of Triton's extensions other than binary tensors. */
export const EXTENSION_CHECKS: readonly Check[] = [
  {
    number: 33,
    title: 'the model configuration has the inputs and outputs of the metadata',
    async run(context, part) {
      await requireExtension(context, 'model_configuration');
      const { name, inputs, outputs, versions = [] } = await context.model();
      const path = `/v2/models/${encodeURIComponent(name)}`;
      for (const each of [path, ...versions.slice(-1).map((version) => `${path}/versions/${version}`)])
        await part(`${each}/config`, async () => {
          const config = expectJson(await context.send({ method: 'GET', path: `${each}/config` }));
          expectEqual(config.name, name, 'name');
          const most = config.max_batch_size;
          expect(
            Number.isInteger(most) && (most as number) >= 0,
            `max_batch_size: expected 0 or more, got ${JSON.stringify(most)}`,
          );
          for (const field of ['platform', 'backend'])
            expect(
              typeof config[field] === 'string',
              `${field}: expected a string, got ${JSON.stringify(config[field])}`,
            );
          expectConfigured(config.input, inputs, (most as number) > 0, 'input');
          expectConfigured(config.output, outputs, (most as number) > 0, 'output');
        });
      await part('an unknown model', async () =>
        expectError(await context.send({ method: 'GET', path: '/v2/models/no-such-model/config' }), [400, 404]),
      );
    },
  },
  {
    number: 34,
    title: 'classification gives the highest elements of each row as score:index',
    needs: ['fixture'],
    async run(context, part) {
      await requireExtension(context, 'classification');
      for (const encoding of await encodingsOf(context)) {
        const ask = (classification: unknown) => {
          const parameters = { classification, ...(encoding === 'binary' && { binary_data: true }) };
          return infer(
            context,
            encoding,
            inferPath(IDENTITY.FP32),
            { x: SCORES },
            { outputs: [{ name: 'y', parameters }] },
          );
        };
        for (const [count, expected] of [
          [
            1,
            [
              [0.75, 1],
              [3, 0],
            ],
          ],
          [
            2,
            [
              [0.75, 1],
              [0.25, 0],
              [3, 0],
              [1, 1],
            ],
          ],
          [
            9,
            [
              [0.75, 1],
              [0.25, 0],
              [3, 0],
              [1, 1],
            ],
          ],
        ] as const)
          await part(`${encoding}, the first ${count}`, async () => {
            const { datatype, shape, data } = readOnly(await ask(count));
            expectEqual([datatype, shape], ['BYTES', [2, Math.min(count, 2)]], 'datatype and shape');
            const reported = (data as string[]).map((text) => text.split(':').slice(0, 2).map(Number));
            expectEqual(reported, expected, 'scores and indices');
          });
        await part(`${encoding}, minus one`, async () => expectError(await ask(-1), 400, ['classification']));
      }
    },
  },
];
