import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outputOf, parseGolden, parseManifest } from '../../../functions/model/folder/manifest.ts';

test('a manifest may have every field, or none', () => {
  assert.deepEqual(parseManifest('{}', 'model.json'), {});
  const whole = {
    name: 'iris',
    version: '3',
    description: 'Flowers.',
    input: { features: ['length', 'width'], categories: { length: [1, 2.5], colour: ['red', 'green'] } },
    output: 'label',
    activation: 'softmax',
    classes: ['a', 'b'],
    example: { features: { length: [1.5, null], width: 'x' } },
    batching: false,
  };
  // What a manifest says comes back; objects read by the project's own reader have no prototype.
  assert.deepEqual(JSON.parse(JSON.stringify(parseManifest(JSON.stringify(whole), 'model.json'))), whole);
});

test('an int64 in an example keeps its digits', () => {
  const { example } = parseManifest('{"example":{"features":[9007199254740993]}}', 'model.json');
  assert.deepEqual(example!.features, [9007199254740993n]);
});

test('categories may be as many numbers as the reader gives as a typed array, and keep the digits of an int64', () => {
  const numbers = Array.from({ length: 100 }, (_, i) => i / 2);
  const text = `{"input":{"categories":{"a":${JSON.stringify(numbers)},"b":[9007199254740993]}}}`;
  const { input } = parseManifest(text, 'model.json');
  assert.deepEqual(input?.categories, { a: numbers, b: [9007199254740993n] });
});

test('a version may be written as a number', () => {
  assert.equal(parseManifest('{"version":7}', 'model.json').version, '7');
});

test('the output is a name, or an object with any of its members', () => {
  assert.deepEqual(outputOf(parseManifest('{"output":"y"}', 'model.json')), { name: 'y' });
  assert.deepEqual(outputOf({}), {});
  for (const output of [{}, { name: 'y', activation: 'sigmoid', top: 5, threshold: 0.5 }, { threshold: 0 }]) {
    assert.deepEqual(outputOf(parseManifest(JSON.stringify({ output }), 'model.json')), output);
  }
});

const BAD_MANIFESTS: [title: string, text: string, message: RegExp][] = [
  ['no JSON', '{"name":', /^\/m\/model\.json is not JSON: /],
  ['no object', '[]', /^\/m\/model\.json: the document: .*expected object/],
  ['an unknown field', '{"clases":["a"]}', /^\/m\/model\.json: the document: .*clases/],
  ['an unknown field within', '{"input":{"names":["a"]}}', /^\/m\/model\.json: input: .*names/],
  ['a number for a name', '{"name":5}', /^\/m\/model\.json: name: .*expected string/],
  ['an empty name', '{"name":""}', /^\/m\/model\.json: name: /],
  ['a fraction as a version', '{"version":1.5}', /^\/m\/model\.json: version: /],
  ['text for a switch', '{"batching":"yes"}', /^\/m\/model\.json: batching: .*expected boolean/],
  ['no categories', '{"input":{"categories":{"a":[]}}}', /^\/m\/model\.json: input\.categories\.a: /],
  ['a category of no kind', '{"input":{"categories":{"a":[true]}}}', /^\/m\/model\.json: input\.categories\.a\.0: /],
  ['an unknown activation', '{"activation":"sigmoid"}', /^\/m\/model\.json: activation: .*softmax/],
  [
    'a number as the output',
    '{"output":1}',
    /^\/m\/model\.json: output: expected the name of an output, or an object$/,
  ],
  ['an output without a name', '{"output":""}', /^\/m\/model\.json: output: .*>=1 characters/],
  ['an unknown member of the output', '{"output":{"nmae":"y"}}', /^\/m\/model\.json: output: .*nmae/],
  [
    'another activation of the output',
    '{"output":{"activation":"relu"}}',
    /^\/m\/model\.json: output\.activation: .*"softmax"\|"sigmoid"\|"none"/,
  ],
  ['no label at most', '{"output":{"top":0}}', /^\/m\/model\.json: output\.top: .*>=1/],
  ['too many labels at most', '{"output":{"top":65537}}', /^\/m\/model\.json: output\.top: .*<=65536/],
  ['half a label', '{"output":{"top":2.5}}', /^\/m\/model\.json: output\.top: .*int/],
  ['a threshold above 1', '{"output":{"threshold":1.5}}', /^\/m\/model\.json: output\.threshold: .*<=1/],
  ['a threshold below 0', '{"output":{"threshold":-0.1}}', /^\/m\/model\.json: output\.threshold: .*>=0/],
  [
    'a text as a threshold',
    '{"output":{"threshold":"0.5"}}',
    /^\/m\/model\.json: output\.threshold: .*expected number/,
  ],
  ['no classes', '{"classes":[]}', /^\/m\/model\.json: classes: /],
  ['a number among the classes', '{"classes":["a",1]}', /^\/m\/model\.json: classes\.1: .*expected string/],
  ['a name that is too long', `{"name":"${'x'.repeat(1025)}"}`, /^\/m\/model\.json: name: .*1024/],
  [
    'a class with a name that is too long',
    `{"classes":["${'x'.repeat(1025)}"]}`,
    /^\/m\/model\.json: classes\.0: .*1024/,
  ],
  ['too many features', `{"input":{"features":${JSON.stringify(Array(16_385).fill('x'))}}}`, /features: .*16384/],
  ['too many classes', `{"classes":${JSON.stringify(Array(65_537).fill('x'))}}`, /classes: .*65536/],
  ['an example without features', '{"example":{}}', /^\/m\/model\.json: example\.features: /],
];

for (const [title, text, message] of BAD_MANIFESTS) {
  test(`a manifest with ${title} is refused with the file and the field`, () => {
    assert.throws(() => parseManifest(text, '/m/model.json'), { code: 'MODEL_FAILED', message });
  });
}

test('golden rows have a tolerance of 1e-4 by default', () => {
  const rows = [{ features: [1, 2], outputs: { __proto__: null, y: [3] } }];
  assert.deepEqual(parseGolden(JSON.stringify({ rows }), 'golden.json'), { tolerance: 1e-4, rows });
  assert.equal(parseGolden(JSON.stringify({ tolerance: 0, rows }), 'golden.json').tolerance, 0);
});

const BAD_GOLDENS: [title: string, text: string, message: RegExp][] = [
  ['no rows', '{"rows":[]}', /golden\.json: rows: /],
  [
    'too many rows',
    JSON.stringify({ rows: Array(1001).fill({}) }),
    /golden\.json: rows: 1001 rows, and it may have 1000$/,
  ],
  ['a row without outputs', '{"rows":[{"features":1}]}', /golden\.json: rows\.0\.outputs: /],
  ['a negative tolerance', '{"tolerance":-1,"rows":[{"features":1,"outputs":{}}]}', /golden\.json: tolerance: /],
  ['no JSON', 'rows', /golden\.json is not JSON/],
];

for (const [title, text, message] of BAD_GOLDENS) {
  test(`golden rows with ${title} are refused with the file and the field`, () => {
    assert.throws(() => parseGolden(text, 'golden.json'), { code: 'MODEL_FAILED', message });
  });
}
