import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { batch, linesOf, predict } from '../../helpers/calls.ts';
import type { Host } from '../../helpers/hosts.ts';

const CITIES = { Oslo: 100, Rome: 200, Bern: 0 };
type City = keyof typeof CITIES;
const cityOf = (i: number): City => (['Oslo', 'Rome', 'Bern'] as const)[i % 3]!;

/** A model of several inputs, a number and a text, whose answers can be told in advance. */
export function tables(host: () => Host): void {
  describe('a table with text', { concurrency: 1 }, () => {
    test('a row is given by the names of the inputs, its values bare or in brackets', async () => {
      for (const features of [
        { age: 41, city: 'Oslo' },
        { city: ['Oslo'], age: [41] },
      ]) {
        const { status, json } = await predict(host(), features);
        assert.deepEqual([status, json().prediction, json().outputs], [200, [141], { y: [141] }]);
      }
    });

    test('an input that is missing, unknown or of the wrong type is named', async () => {
      const cases = [
        [{ age: 41 }, 'features.city', /missing/],
        [{ age: 41, city: 'Oslo', zip: 1 }, 'features.zip', /no such input.*age, city/],
        [{ age: '41', city: 'Oslo' }, 'features.age', /expected a number.*got "41"/],
        [{ age: 41, city: 7 }, 'features.city', /expected a string, got 7/],
      ] as const;
      for (const [features, path, text] of cases) {
        const { status, json } = await predict(host(), features);
        assert.deepEqual([status, json().code, json().path], [400, 'INVALID_INPUT', path]);
        assert.match(json().error, text);
      }
    });

    test('200 different requests at once each get their own answer', async () => {
      const asked = Array.from({ length: 200 }, (_, age) => ({ age, city: cityOf(age) }));
      const answers = await Promise.all(
        asked.map((features) => predict(host(), features, { 'x-request-id': `r${features.age}` })),
      );
      for (const [age, { status, headers, json }] of answers.entries()) {
        assert.equal(status, 200);
        assert.deepEqual(json().prediction, [age + CITIES[cityOf(age)]]);
        assert.equal(headers.get('x-request-id'), `r${age}`);
      }
    });

    test('batches and single rows at once do not mix either', async () => {
      const many = (from: number) =>
        Array.from({ length: 300 }, (_, i) => ({ features: { age: from + i, city: cityOf(i) } }));
      const batches = [0, 1000, 2000, 3000].map(async (from) => {
        const lines = linesOf(await batch(host(), many(from)));
        assert.deepEqual(lines.pop(), { done: true, ok: 300, failed: 0 });
        for (const [i, line] of lines.entries()) assert.deepEqual(line.prediction, [from + i + CITIES[cityOf(i)]]);
      });
      const singles = Array.from({ length: 100 }, async (_, i) => {
        const { json } = await predict(host(), { age: -i, city: cityOf(i) });
        assert.deepEqual(json().prediction, [CITIES[cityOf(i)] - i]);
      });
      await Promise.all([...batches, ...singles]);
    });
  });
}

/** A model that puts a text into lower case. */
export function texts(host: () => Host): void {
  describe("a text as scikit-learn's vectorizers take it", { concurrency: 1 }, () => {
    test('is put into lower case, though the system may have no locale en_US', async () => {
      const { json } = await predict(host(), 'ÅSE Жизнь ab');
      assert.equal(json().prediction, 'åse жизнь ab');
    });
  });
}
