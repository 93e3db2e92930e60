import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createExampleRoutes } from '../../../functions/routes/pages/examples.ts';
import { call } from '../../helpers/calls.ts';
import { stubGeneration, tensorSpec } from '../../helpers/generation-stub.ts';
import { serveOnly } from '../../helpers/route-host.ts';

const signature = { inputs: [tensorSpec('x', 'int64', -1, 2)], outputs: [tensorSpec('y', 'float32', -1, 3)] };
const manifest = {
  input: { features: ['size', 'colour'], categories: { colour: [0, 9_007_199_254_740_993n] } },
  activation: 'softmax' as const,
};
const examples = [{ features: [9_007_199_254_740_993n, 1], outputs: { y: [0.5, 'NaN', 1] } }];

test('a model is described with its golden rows, with every digit', async (t) => {
  const { repository } = stubGeneration({ signature, manifest, examples });
  const host = await serveOnly(t, createExampleRoutes(repository, 1000));
  for (const path of ['/models/m/examples', '/models/m/versions/1/examples']) {
    const { status, text } = await call(host, path);
    assert.equal(status, 200);
    assert.match(text, /"examples":\[\{"features":\[9007199254740993,1\],"outputs":\{"y":\[0.5,"NaN",1\]\}\}\]/);
    assert.match(text, /"categories":\{"colour":\[0,9007199254740993\]\}/);
    const { model } = JSON.parse(text);
    assert.deepEqual([model.features, model.activation], [['size', 'colour'], 'softmax']);
  }
});

test('a float32 that was written with the digits of a double is shown as its shortest decimal', async (t) => {
  const features = [14.229999542236328, 0.1, 1e-45, 33_554_432.5, 2];
  const shown = async (dtype: 'float32' | 'float64') => {
    const own = { inputs: [tensorSpec('x', dtype, -1, 5)], outputs: signature.outputs };
    const { repository } = stubGeneration({ signature: own, examples: [{ features, outputs: {} }] });
    const { json } = await call(await serveOnly(t, createExampleRoutes(repository, 1000)), '/models/m/examples');
    const { examples, model } = json();
    assert.deepEqual(model.example.features, examples[0].features);
    return examples[0].features;
  };
  assert.deepEqual(await shown('float32'), [14.23, 0.1, 1e-45, 33_554_432.5, 2]);
  assert.deepEqual(await shown('float64'), features);
});

test('a model that does not exist has none', async (t) => {
  const { repository } = stubGeneration({ signature });
  const { status, json } = await call(
    await serveOnly(t, createExampleRoutes(repository, 1000)),
    '/models/none/examples',
  );
  assert.deepEqual([status, json().code], [404, 'NOT_FOUND']);
});

test('a model that is not loaded stays so', async (t) => {
  const { repository } = stubGeneration({ signature });
  const idle = {
    live: () => undefined,
    whenLive: () => assert.fail('it is loaded'),
    loadsOnRequest: () => true,
    status: () => ({ name: 'other', state: 'idle' }),
  };
  const host = await serveOnly(t, createExampleRoutes({ ...repository, find: async () => idle } as never, 1000));
  const { status, json } = await call(host, '/models/other/examples');
  assert.deepEqual([status, json().code], [503, 'NOT_READY']);
});

test("the page is told the most bytes of a request, and whether the example is the model's own", async (t) => {
  for (const [given, expected] of [
    [{ signature, examples }, true],
    [{ signature, manifest: { example: { features: [1n, 2n] } } }, true],
    [{ signature }, false],
  ] as const) {
    const { repository } = stubGeneration(given as Parameters<typeof stubGeneration>[0]);
    const { json } = await call(await serveOnly(t, createExampleRoutes(repository, 1000)), '/models/m/examples');
    const { has_example: hasExample, max_body_bytes: most } = json();
    assert.deepEqual([hasExample, most], [expected, 1000]);
  }
});
