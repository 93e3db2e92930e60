import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApp } from '../../../functions/app.ts';
import { readConfig } from '../../../functions/config/settings.ts';
import { STATUS } from '../../../functions/http/status.ts';
import type { Manifest } from '../../../functions/model/folder/manifest.ts';
import { createRowDecoder } from '../../../functions/model/folder/rows.ts';
import type { Generation } from '../../../functions/model/serving/generation.ts';
import { type Listed, writeDocument } from '../../../functions/routes/openapi/document.ts';
import { isDescribed } from '../../../functions/routes/openapi/operations.ts';
import type { JsonValue } from '../../../functions/tensor/json/reader.ts';
import { DTYPES, type DType, type TensorSpec } from '../../../functions/tensor/tensor.ts';
import type { Json } from '../../helpers/calls.ts';
import { IRIS } from '../../helpers/hosts.ts';
import { createChecker, exampleRequests, faultOf } from '../../helpers/openapi.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

/** The routes of a server with these settings. No model is loaded. */
async function routesOf(settings: Record<string, string> = {}): Promise<readonly Listed[]> {
  const { logger } = recordTelemetry();
  const app = createApp(readConfig({ MODEL_URI: IRIS, ...settings }), logger);
  await app.close();
  return app.routes;
}

const ROUTES = await routesOf({ PAGE: 'off' });

const tensor = (name: string, dtype: DType, ...shape: number[]): TensorSpec => ({ name, dtype, shape });

interface Parts {
  readonly inputs: readonly TensorSpec[];
  readonly outputs?: readonly TensorSpec[];
  readonly manifest?: Manifest;
  readonly joinsRows?: boolean;
  readonly labels?: readonly string[];
}

/** As much of a generation as the document is made of. */
function modelOf({ inputs, outputs = inputs, manifest = {}, joinsRows = true, labels }: Parts): Generation {
  const signature = { inputs, outputs };
  const rows = createRowDecoder(signature, manifest.input?.features, joinsRows);
  const labelled = labels === undefined ? [] : [{ output: outputs[0]!.name, labels, of: 'string' }];
  return {
    name: 'm',
    version: '1',
    signature,
    manifest,
    examples: [],
    joinsRows,
    rows,
    labelled,
  } as unknown as Generation;
}

const documentOf = (live: Generation | undefined): Json => JSON.parse(writeDocument(ROUTES, live));

function operationsOf(document: Json): string[] {
  return Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

test('the document lists the routes that the server has, no more and no fewer', () => {
  const routes = ROUTES.map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(operationsOf(documentOf(undefined)).sort(), [...new Set(routes)].sort());
});

test('every route has a description of its own in functions/routes/openapi', () => {
  const bare = ROUTES.filter((route) => !isDescribed(route));
  assert.deepEqual(
    bare.map(({ method, path }) => `${method} ${path}`),
    [],
  );
});

test('the paths that Vertex AI chooses are listed, those of the page are not', async () => {
  const routes = await routesOf({ AIP_PREDICT_ROUTE: '/here:predict', AIP_HEALTH_ROUTE: '/there' });
  assert.ok(routes.some(({ path }) => path === '/docs'));
  const served = routes.filter(({ path }) => !/^\/(page|docs|$)/.test(path));
  const document: Json = JSON.parse(writeDocument(served, undefined));
  assert.equal(document.paths['/here:predict'].post.operationId, 'vertexPredict');
  assert.equal(document.paths['/there'].get.operationId, 'vertexHealth');
});

test('until a model serves the document is valid, without examples and without a model', async () => {
  const document = documentOf(undefined);
  assert.equal(await faultOf(document), undefined);
  assert.equal(document['x-model'], undefined);
  assert.equal(document.paths['/predict'].post.requestBody.content['application/json'].examples, undefined);
});

test('what is no OpenAPI document is found to be none', async () => {
  assert.notEqual(await faultOf({ ...documentOf(undefined), paths: { predict: {} } }), undefined);
});

test('no two operations have the same id', () => {
  const ids = Object.values<Json>(documentOf(undefined).paths).flatMap((item) =>
    Object.values<Json>(item).map(({ operationId }) => operationId),
  );
  assert.equal(new Set(ids).size, ids.length);
});

test('every error code is in the schema of errors, and every status has a response', () => {
  const { schemas, responses } = documentOf(undefined).components;
  assert.deepEqual(schemas.ErrorCode.enum, Object.keys(STATUS));
  for (const [code, status] of Object.entries(STATUS)) {
    assert.match(responses[`Error${status}`].description, new RegExp(`\\b${code}\\b`));
  }
});

const every = (Object.keys(DTYPES) as DType[]).map((dtype) => tensor(dtype, dtype, -1, 2));
const SHAPES: [title: string, parts: Parts][] = [
  ['every dtype', { inputs: every }],
  ['a column', { inputs: [tensor('x', 'float32', -1, 1)] }],
  ['rows that are scalars', { inputs: [tensor('x', 'int64', -1)] }],
  ['a scalar', { inputs: [tensor('x', 'float64')], joinsRows: false }],
  ['any rank', { inputs: [{ ...tensor('x', 'float64'), anyRank: true }], joinsRows: false }],
  ['an image', { inputs: [tensor('image', 'uint8', -1, 3, 4, 4)] }],
  ['free dimensions', { inputs: [tensor('x', 'float32', -1, -1, 2)] }],
  ['rows that are not joined', { inputs: [tensor('x', 'float32', -1, 3)], joinsRows: false }],
  ['a fixed first dimension', { inputs: [tensor('x', 'float16', 2, 3)], joinsRows: false }],
  ['names that JSON escapes', { inputs: [tensor('a/b "~c', 'string', -1, 2), tensor('constructor', 'bool', -1, 1)] }],
];

for (const [title, parts] of SHAPES) {
  test(`the document of ${title} is valid, and its examples are what its schemas say`, async () => {
    const document = documentOf(modelOf(parts));
    assert.equal(await faultOf(document), undefined);
    const check = createChecker(document);
    let checked = 0;
    for (const { headers, body, place, title: request } of exampleRequests(document)) {
      if (body === undefined || headers['content-type'] !== 'application/json') continue;
      const schema = [...place, 'requestBody', 'content', 'application/json', 'schema'];
      assert.equal(check(schema, JSON.parse(body)), undefined, `${request}: ${body}`);
      checked++;
    }
    assert.ok(checked > 10);
  });
}

test('a row has the lengths of the fixed dimensions, and any length of the free ones', () => {
  const check = createChecker(documentOf(modelOf({ inputs: [tensor('x', 'float32', -1, -1, 2)] })));
  const features = (value: unknown) => check(['components', 'schemas', 'PredictBody'], { features: value });
  for (const good of [
    [[1, 2]],
    [],
    [
      [1, 2],
      [3, 'NaN'],
    ],
    { x: [[1, 2]] },
  ])
    assert.equal(features(good), undefined);
  for (const bad of [[[1]], [1, 2], [[1, 2, 3]], { y: [[1, 2]] }, [[1, null]]])
    assert.notEqual(features(bad), undefined);
});

test('where any rank is taken, a row is a scalar or arrays', () => {
  const document = documentOf(modelOf({ inputs: [{ ...tensor('x', 'float32'), anyRank: true }], joinsRows: false }));
  const check = createChecker(document);
  for (const good of [1, [1, 2], [[1], [2]], { x: [1] }]) {
    assert.equal(check(['components', 'schemas', 'PredictBody'], { features: good }), undefined);
  }
  assert.notEqual(check(['components', 'schemas', 'PredictBody'], { features: { y: 1 } }), undefined);
});

test('integers have the bounds of their dtype', () => {
  const check = createChecker(documentOf(modelOf({ inputs: every })));
  const is = (dtype: DType, value: unknown) => check(['components', 'schemas', dtype], value) === undefined;
  const seen = [is('int8', -128), is('int8', -129), is('uint16', 65_535), is('uint16', 65_536), is('uint64', -1)];
  assert.deepEqual(seen, [true, false, true, false, false]);
  assert.deepEqual(
    [is('int32', 1.5), is('bool', 1), is('string', 'x'), is('float32', '1')],
    [false, false, true, false],
  );
});

test("the manifest's example keeps the digits of an int64, in every dialect", () => {
  const features: JsonValue = [9_007_199_254_740_993n, -9_223_372_036_854_775_808n];
  const manifest = { example: { features } };
  const text = writeDocument(ROUTES, modelOf({ inputs: [tensor('x', 'int64', -1, 2)], manifest }));
  assert.ok(text.includes('{"features":[9007199254740993,-9223372036854775808]}'));
  assert.ok(text.includes('"shape":[1,2],"data":[9007199254740993,-9223372036854775808]'));
  assert.ok(text.includes('{"inputs":{"x":[[9007199254740993,-9223372036854775808]]}}'));
});

test("the label is one of the model's own classes where the manifest names none", () => {
  const document = documentOf(modelOf({ inputs: [tensor('x', 'float32', -1, 2)], labels: ['no', 'yes', 'no'] }));
  assert.deepEqual(document.components.schemas.Prediction.properties.label.enum, ['no', 'yes']);
  assert.deepEqual(document['x-model'].classes, ['no', 'yes', 'no']);
});

test('the description of a model has the options of its answers, and softmax as what its outputs need', () => {
  const inputs = [tensor('x', 'float32', -1, 2)];
  const describe = (manifest: Manifest): Json => documentOf(modelOf({ inputs, manifest }))['x-model'];
  const classes = ['no', 'yes'];
  const one = describe({ output: { name: 'x', activation: 'softmax', top: 1 }, classes });
  assert.deepEqual([one.output, one.activation, one.answer], ['x', 'softmax', { activation: 'softmax', top: 1 }]);
  const several = describe({ output: { activation: 'sigmoid', threshold: 0.25 }, classes });
  assert.deepEqual(
    [several.output, several.activation, several.answer],
    ['x', undefined, { activation: 'sigmoid', threshold: 0.25 }],
  );
  assert.equal(describe({ output: 'x', activation: 'softmax', classes }).answer, undefined);
});

test('batch_size has the default and the bounds that the route checks', () => {
  const [parameter] = documentOf(undefined).paths['/batch_predict'].post.parameters;
  assert.deepEqual(parameter, {
    name: 'batch_size',
    in: 'query',
    schema: { default: 32, type: 'integer', minimum: 1, maximum: 4096 },
  });
});

test('a row as large as an image has no example, whether synthetic or of model.json, and the document stays small', () => {
  for (const shape of [
    [-1, 3, 224, 224],
    [1, 3, 1024, 1024],
  ]) {
    const text = writeDocument(ROUTES, modelOf({ inputs: [tensor('x', 'float32', ...shape)] }));
    assert.ok(text.length < 200_000, String(text.length));
    assert.equal(JSON.parse(text)['x-model'].example, undefined);
  }
  const features = Array.from({ length: 2000 }, () => 0.5);
  const manifest = { example: { features } } as Manifest;
  const document = documentOf(modelOf({ inputs: [tensor('x', 'float32', -1, -1)], manifest }));
  assert.equal(document['x-model'].example, undefined);
});

test('a server that authenticates callers says which routes need a token, and what is answered without one', async () => {
  const isOpen = ({ path }: Listed): boolean => path === '/health';
  const document: Json = JSON.parse(writeDocument(ROUTES, undefined, isOpen));
  assert.equal(await faultOf(document), undefined);
  assert.equal(document.components.securitySchemes.callerToken.scheme, 'bearer');
  for (const path of ['/predict', '/models/{name}', '/v2/models/{name}/infer']) {
    for (const { security, responses } of Object.values<Json>(document.paths[path])) {
      assert.deepEqual(security, [{ callerToken: [] }], path);
      assert.ok(responses['401'] && responses['403'], path);
    }
  }
  assert.equal(document.paths['/health'].get.security, undefined);
  assert.deepEqual(document.paths['/v2/logging'].post.security, [{ adminToken: [] }]);
});

test('a server that authenticates nobody says nothing of tokens of callers', () => {
  const document = documentOf(undefined);
  assert.equal(document.components.securitySchemes.callerToken, undefined);
  assert.equal(document.paths['/predict'].post.security, undefined);
});

test('a document that everybody may read has no golden row, on a server where other routes need a token', () => {
  const iris = modelOf({ inputs: [tensor('x', 'float32', -1, 2)] });
  const live = { ...iris, examples: [{ features: [41, 42], outputs: {} }] } as unknown as Generation;
  const routes: Listed[] = [...ROUTES, { method: 'GET', path: '/openapi.json' }];
  const shown = (isOpen?: (route: Listed) => boolean): boolean =>
    writeDocument(routes, live, isOpen).includes('[41,42]');
  assert.equal(shown(), true);
  assert.equal(
    shown(() => false),
    true,
  );
  assert.equal(
    shown(({ path }) => path === '/openapi.json'),
    false,
  );
});

test('the descriptions of the models and their golden rows are listed where the page is', async () => {
  const paths = (await routesOf()).map(({ path }) => path);
  assert.ok(paths.includes('/models/{name}/examples') && paths.includes('/models/{name}/versions/{version}/examples'));
  assert.ok(!ROUTES.some(({ path }) => path.endsWith('/examples')));
  assert.ok(isDescribed({ method: 'GET', path: '/models/{name}/examples' }));
});

test('a summary is plain text: viewers show no Markdown in it', () => {
  const document = documentOf(modelOf({ inputs: [tensor('x', 'float32', -1, 2)] }));
  for (const [path, item] of Object.entries<Json>(document.paths)) {
    for (const { summary } of Object.values<Json>(item)) assert.match(summary, /^[^`*_]+\.$/, path);
  }
});
