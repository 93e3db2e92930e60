import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { ask, BUCKET, fromBucket, LONG_AGO, untilReady, withHost, withStorage } from '../helpers/bucket.ts';
import { batch, linesOf, post, predict } from '../helpers/calls.ts';
import { NOT_TOLD, untilLogged, useHost } from '../helpers/hosts.ts';
import { addConstant, writeModel } from '../helpers/models.ts';
import { until } from '../helpers/until.ts';

/** `y` = `x` + 1, where `x` is made of words, and the answer of `y`. */
const FILES = {
  'transform.ts': `import { InvalidInput, type Postprocess, type Preprocess } from 'onnx-cloud-run/transform';
import { lengths } from './transform/lengths.ts';
console.log('loaded');
export const preprocess: Preprocess = (body, { manifest }) => {
  console.log('a line of its own', manifest.description);
  if (!Array.isArray(body?.words)) throw new InvalidInput('words: expected a list', 'features.words');
  if (body.words[0] === 'fail') throw new Error('the secret reason');
  return { x: lengths(body.words) };
};
export const postprocess: Postprocess = ({ y }, { body }) => ({ sums: y!.data, words: body.words });
`,
  'transform/lengths.ts': 'export const lengths = (words: string[]): number[] => words.map(({ length }) => length);\n',
};
const ANSWER = { sums: [3, 4], words: ['ab', 'abc'] };

const folder = mkdtempSync(join(tmpdir(), 'transform-'));
after(() => rmSync(folder, { recursive: true }));
const model = writeModel(folder, 'words', addConstant(1), { description: 'words' });
for (const [path, content] of Object.entries(FILES)) {
  mkdirSync(dirname(join(model, path)), { recursive: true });
  writeFileSync(join(model, path), content);
}

for (const kind of ['container', 'functions'] as const) {
  describe(`a model with code in a folder, in the ${kind === 'container' ? kind : 'function'}`, () => {
    const host = useHost(kind, () => ({ MODEL_URI: model }));

    test('/predict takes any JSON, and answers any JSON', async () => {
      await untilReady(host());
      const { status, json } = await predict(host(), { words: ['ab', 'abc'] });
      assert.deepEqual([status, json().prediction, json().outputs], [200, ANSWER, { result: ANSWER }]);
    });

    test('/batch_predict does for each row, and a bad one fails alone', async () => {
      const rows = [{ features: { words: ['ab', 'abc'] } }, { features: 7 }];
      const [good, bad] = linesOf(await batch(host(), rows));
      assert.deepEqual(good.prediction, ANSWER);
      assert.deepEqual(bad.error, { message: 'words: expected a list', code: 'INVALID_INPUT', path: 'features.words' });
    });

    test('an error of the caller is a 400 with its place; one of the code is a 500 whose text is in the log alone', async () => {
      const wrong = await predict(host(), { words: 7 });
      assert.deepEqual([wrong.status, wrong.json().path], [400, 'features.words']);
      const failed = await predict(host(), { words: ['fail'] });
      assert.equal(failed.status, 500);
      assert.equal(failed.json().error, "the model's transform.ts failed on this input: the server's log says why");
      const isLogged = async (): Promise<boolean> =>
        host().lines.some((line) => line.includes('transform.ts:7: Error: the secret reason'));
      await until(isLogged, 'the reason in the log');
    });

    test('the Open Inference Protocol has the texts of the JSON', async () => {
      const input = { name: 'features', datatype: 'BYTES', shape: [1], data: ['{"words":["ab","abc"]}'] };
      const { status, json, text } = await post(host(), '/v2/models/words/infer', { inputs: [input] });
      assert.equal(status, 200, text);
      const [output] = json().outputs;
      assert.deepEqual([output.name, output.datatype, JSON.parse(output.data[0])], ['result', 'BYTES', ANSWER]);
    });

    test('instances of TensorFlow Serving are any JSON, and so are the predictions', async () => {
      const instances = [{ words: ['ab', 'abc'] }, { words: ['abc', 'ab'] }];
      const { status, json, text } = await post(host(), '/v1/models/words:predict', { instances });
      assert.equal(status, 200, text);
      assert.deepEqual(json().predictions, [ANSWER, { sums: [4, 3], words: ['abc', 'ab'] }]);
    });

    test('64 clients at once each get the answer for their own words', async () => {
      const words = Array.from({ length: 64 }, (_, i) => ['a'.repeat(i), 'b'.repeat(64 - i)]);
      const answers = await Promise.all(words.map((own) => predict(host(), { words: own })));
      for (const [i, { json }] of answers.entries()) {
        assert.deepEqual(json().prediction, { sums: [i + 1, 65 - i], words: words[i] });
      }
    });

    test('what the code prints is not in the log, of which every line is JSON', () => {
      assert.ok(host().lines.length > 0);
      if (kind === 'container') for (const line of host().lines) assert.equal(typeof JSON.parse(line), 'object');
      assert.ok(!host().lines.some((line) => line.includes('a line of its own')));
    });
  });
}

describe('a model with code in a bucket', () => {
  const upload = (
    put: (bucket: string, name: string, bytes: Uint8Array, options: typeof LONG_AGO) => unknown,
  ): void => {
    put(BUCKET, 'words/model.onnx', addConstant(1), LONG_AGO);
    for (const [path, content] of Object.entries(FILES)) put(BUCKET, `words/${path}`, Buffer.from(content), LONG_AGO);
  };

  test('does not load, and the log says what to set', () =>
    withStorage(async (storage) => {
      upload(storage.put);
      await withHost(fromBucket(storage, ''), async (host) => {
        const { status, json } = await ask(host, 'words', { words: ['ab', 'abc'] });
        assert.equal(status, 503);
        assert.match(json().error, NOT_TOLD);
        await untilLogged(host, /gs:\/\/models\/words\/transform\.ts is code, .*: set MODEL_CODE=allow/);
      });
    }));

  test('loads with MODEL_CODE=allow, and new code is a new version', () =>
    withStorage(async (storage) => {
      upload(storage.put);
      const env = fromBucket(storage, '', { MODEL_CODE: 'allow', MODEL_REFRESH_SECONDS: '1' });
      await withHost(env, async (host) => {
        await untilReady(host);
        const prediction = async () => (await ask(host, 'words', { words: ['ab', 'abc'] })).json().prediction;
        assert.deepEqual(await prediction(), ANSWER);
        const next = FILES['transform/lengths.ts'].replace('=> length', '=> 10 * length');
        storage.put(BUCKET, 'words/transform/lengths.ts', Buffer.from(next), LONG_AGO);
        const isNew = async (): Promise<boolean> => JSON.stringify((await prediction()).sums) === '[21,31]';
        await until(isNew, 'the new code to serve');
      });
    }));
});
