import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readRowIndependence } from '../../functions/batching/read-row-independence.ts';
import type { RowIndependence } from '../../functions/batching/row-independence.ts';
import { openSession } from '../../functions/engine/process/session.ts';
import { localFunction, model, node, value } from '../../functions/onnx/proto/build.ts';
import { createRandom } from '../../scripts/fuzz/random.ts';
import { compareWithAlone, randomRequests } from '../helpers/graphs/compare-with-alone.ts';
import { GRAPHS } from '../helpers/graphs/index.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'row-independence-'));
after(() => rmSync(folder, { recursive: true }));

/** Batches that each proved graph is run with: eight times as many as a graph that mixes rows needs to show it (test/helpers/graphs.test.ts). */
const BATCHES = 100;

function write(bytes: Uint8Array, name: string): string {
  const path = join(folder, `${name}.onnx`);
  writeFileSync(path, bytes);
  return path;
}

const verdictOf = (bytes: Uint8Array): RowIndependence => readRowIndependence(write(bytes, 'one'));

for (const [at, { name, model: build, verdict, operator, feeds, tolerance }] of GRAPHS.entries()) {
  const path = write(build(), String(at));
  const found = readRowIndependence(path);

  test(`${name}: ${verdict}${operator === undefined ? '' : `, for its ${operator}`}`, () => {
    assert.equal(found.verdict, verdict, JSON.stringify(found));
    if (operator !== undefined) {
      assert.equal('operator' in found && found.operator?.split('.').at(-1), operator, JSON.stringify(found));
    }
  });

  if (found.verdict === 'proved') {
    test(`${name}: ${BATCHES} random batches give the same as their rows alone`, async () => {
      const session = await openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] });
      const random = createRandom(1000 + at);
      for (let batch = 0; batch < BATCHES; batch++) {
        assert.equal(await compareWithAlone(session, randomRequests({ feeds }, random), tolerance), undefined);
      }
    });
  }
}

const oneNode = (operator: string, attributes = {}, opset = 17, shape: readonly (string | number)[] = ['N', 4]) =>
  model({
    name: 'one-node',
    nodes: [node(operator, ['x'], ['y'], attributes)],
    inputs: [value('x', 'float32', shape)],
    outputs: [value('y', 'float32', ['N', 4])],
    opset,
  });

test('an operator without a rule is unknown, and is named with its domain and its node', () => {
  const custom = model({
    name: 'custom',
    nodes: [node('Frobnicate', ['x'], ['y'], {}, { domain: 'com.example', name: 'frob' })],
    inputs: [value('x', 'float32', ['N', 4])],
    outputs: [value('y', 'float32', ['N', 4])],
  });
  assert.deepEqual(verdictOf(custom), {
    verdict: 'unknown',
    operator: 'com.example.Frobnicate',
    node: 'frob',
    reason: 'there is no rule for this operator',
  });
});

test('nodes that no output depends on have no influence', () => {
  const unused = model({
    name: 'unused',
    nodes: [node('ReduceMean', ['x'], ['mean'], { axes: [0n] }), node('Relu', ['x'], ['y'])],
    inputs: [value('x', 'float32', ['N', 4])],
    outputs: [value('y', 'float32', ['N', 4])],
  });
  assert.deepEqual(verdictOf(unused), { verdict: 'proved' });
});

test('Softmax takes all axes from one on before operator set 13, and one axis from then on', () => {
  assert.equal(verdictOf(oneNode('Softmax', { axis: 0n }, 12)).verdict, 'mixed');
  assert.equal(verdictOf(oneNode('Softmax', {}, 12)).verdict, 'proved');
  assert.equal(verdictOf(oneNode('Softmax', {}, 13)).verdict, 'proved');
  assert.equal(verdictOf(oneNode('Softmax', { axis: 0n }, 13)).verdict, 'mixed');
});

test('an input without a free first dimension carries no rows, one of unknown rank is unknown', () => {
  assert.deepEqual(verdictOf(oneNode('Relu', {}, 17, [1, 4])), {
    verdict: 'mixed',
    reason: 'the first dimension of input x is not free, so it carries no rows',
  });
  const anyRank = model({
    name: 'any-rank',
    nodes: [node('Relu', ['x'], ['y'])],
    inputs: [value('x', 'float32')],
    outputs: [value('y', 'float32')],
  });
  assert.deepEqual(verdictOf(anyRank), { verdict: 'unknown', reason: 'the file does not give the rank of input x' });
});

test('a file that cannot be read is unknown, not an error', () => {
  const found = verdictOf(new Uint8Array([0x3a, 0xff, 0x01]));
  assert.equal(found.verdict, 'unknown');
  assert.match('reason' in found ? found.reason : '', /^the graph could not be followed: /);
});

test('functions that call each other twice, thirty deep, are unknown, and not followed for ever', () => {
  const domain = 'local';
  const functions = Array.from({ length: 30 }, (_, depth) =>
    localFunction({
      domain,
      name: `f${depth}`,
      inputs: ['a'],
      outputs: ['b'],
      nodes:
        depth === 0
          ? [node('Relu', ['a'], ['b'])]
          : [node(`f${depth - 1}`, ['a'], ['c'], {}, { domain }), node(`f${depth - 1}`, ['c'], ['b'], {}, { domain })],
      opsets: { '': 17, [domain]: 1 },
    }),
  );
  const bomb = model({
    name: 'bomb',
    nodes: [node('f29', ['x'], ['y'], {}, { domain })],
    inputs: [value('x', 'float32', ['N', 4])],
    outputs: [value('y', 'float32', ['N', 4])],
    opsets: { [domain]: 1 },
    functions,
  });
  const found = verdictOf(bomb);
  assert.equal(found.verdict, 'unknown');
  assert.match('reason' in found ? found.reason : '', /^it takes more than \d+ steps to follow the graph$/);
});
