import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressLine } from '../../../functions/cli/serve/progress-line.ts';

const URI = 'gs://models/iris';

test('while bytes are fetched, a bar shows their part of the whole', () => {
  const status = { phase: 'fetching', fetched: 150e6, bytes: 300e6, seconds: 3 } as const;
  assert.equal(progressLine(status, URI, 80), `loading ${URI}: [############------------]  50 % 150.0 MB of 300.0 MB`);
  assert.match(progressLine({ ...status, fetched: 300e6 }, URI, 80), /\[#{24}\] 100 % 300\.0 MB of 300\.0 MB$/);
  assert.match(progressLine({ ...status, fetched: 0 }, URI, 80), /\[-{24}\] {3}0 % 0 bytes of/);
});

test('other phases are named, with the seconds since the start', () => {
  const status = { fetched: undefined, bytes: 10, seconds: 2.04 };
  assert.equal(progressLine({ ...status, phase: 'warming' }, 'a.onnx', 80), 'loading a.onnx: warming up, 2.0 s');
  assert.equal(
    progressLine({ ...status, phase: undefined }, 'a.onnx', 80),
    'loading a.onnx: looking for the model, 2.0 s',
  );
});

test('a line is shorter than the terminal is wide', () => {
  const status = { phase: 'fetching', fetched: 1, bytes: 2, seconds: 0 } as const;
  assert.equal(progressLine(status, URI, 20), `loading ${URI}`.slice(0, 19));
  assert.equal(progressLine(status, URI, 0), progressLine(status, URI, 80), 'a terminal that does not say it');
});
