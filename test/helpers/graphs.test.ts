import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openSession } from '../../functions/engine/process/session.ts';
import type { ModelProto, NodeProto } from '../../functions/onnx/proto/onnx_pb.ts';
import { readModel } from '../../functions/onnx/proto/read.ts';
import { createRandom } from '../../scripts/fuzz/random.ts';
import { compareWithAlone, randomRequests } from './graphs/compare-with-alone.ts';
import { GRAPHS } from './graphs/index.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'graphs-'));
after(() => rmSync(folder, { recursive: true }));

/** The most that a mixed graph may need to show that it mixes rows. */
const BATCHES = 12;

async function firstDifference(at: number): Promise<string | undefined> {
  const { model, feeds, tolerance } = GRAPHS[at]!;
  const path = join(folder, `${at}.onnx`);
  writeFileSync(path, model());
  const session = await openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] });
  const random = createRandom(at + 1);
  for (let batch = 0; batch < BATCHES; batch++) {
    const difference = await compareWithAlone(session, randomRequests({ feeds }, random), tolerance);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

// Those that are proved are run in test/batching/row-independence.test.ts, in many more batches.
for (const [at, { name, verdict }] of GRAPHS.entries()) {
  if (verdict !== 'mixed') continue;
  test(`${name}: rows do not get together what they get alone`, async () => {
    assert.match(String(await firstDifference(at)), /^(joined|reversed): /);
  });
}

test('names differ, and mixed and unknown graphs name an operator that they have', () => {
  assert.equal(new Set(GRAPHS.map(({ name }) => name)).size, GRAPHS.length);
  for (const { name, model, verdict, operator } of GRAPHS) {
    assert.ok(verdict !== 'unknown' || operator !== undefined, name);
    if (operator === undefined) continue;
    assert.notEqual(verdict, 'proved', name);
    assert.ok(operatorsOf(readModel(model(), name)).has(operator), `${name}: has no ${operator}`);
  }
});

test('there are 60 graphs and more, 40 of them proved', () => {
  const proved = GRAPHS.filter(({ verdict }) => verdict === 'proved').length;
  assert.ok(GRAPHS.length >= 60, `${GRAPHS.length} graphs`);
  assert.ok(proved >= 40, `${proved} proved`);
});

function operatorsOf({ graph, functions }: ModelProto): Set<string> {
  const found = new Set<string>();
  function visit(nodes: readonly NodeProto[]): void {
    for (const { opType, attribute } of nodes) {
      found.add(opType);
      for (const { g } of attribute) if (g !== undefined) visit(g.node);
    }
  }
  visit([...graph!.node, ...functions.flatMap(({ node }) => node)]);
  return found;
}
