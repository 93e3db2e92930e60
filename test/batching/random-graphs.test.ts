import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findRowIndependence } from '../../functions/batching/row-independence.ts';
import { openSession } from '../../functions/engine/process/session.ts';
import { readGraph } from '../../functions/onnx/graph.ts';
import { createRandom } from '../../scripts/fuzz/random.ts';
import { bytesOf } from '../helpers/bytes-of.ts';
import { compareWithAlone, randomRequests } from '../helpers/graphs/compare-with-alone.ts';
import { type RandomGraph, randomGraph } from '../helpers/random-graphs/random-graph.ts';
import type { RandomValue } from '../helpers/random-graphs/writer.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'random-graphs-'));
after(() => rmSync(folder, { recursive: true }));

const FIRST_SEED = 1;
const GRAPHS = 3000;
const BATCHES = 3;
/** Sums of random weights cancel each other, and onnxruntime adds in another order in a batch. */
const TOLERANCE = 1e-4;

/** Of the bytes in memory: a file for each output of each graph would take longer than all else. */
const verdictOf = ({ build }: RandomGraph, output: RandomValue) =>
  findRowIndependence(readGraph(bytesOf(build([output])))).verdict;

/** What differs in a batch; `refused` where onnxruntime does not load the graph, or does not run one row of it. */
async function difference(
  found: RandomGraph,
  outputs: readonly RandomValue[],
  seed: number,
): Promise<string | undefined> {
  const path = join(folder, `${seed}.onnx`);
  writeFileSync(path, found.build(outputs));
  const session = await openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] }).catch(() => undefined);
  if (session === undefined) return 'refused';
  const random = createRandom(seed);
  for (let batch = 0; batch < BATCHES; batch++) {
    const differs = await compareWithAlone(session, randomRequests(found, random), TOLERANCE);
    if (differs?.startsWith('row ') === true) return 'refused';
    if (differs !== undefined) return differs;
  }
  return undefined;
}

test('a proof of a random graph is correct: batches give the same as their rows alone', async (t) => {
  const counts = { proved: 0, mixed: 0, unknown: 0 };
  const runs = { same: 0, refused: 0 };
  for (let seed = FIRST_SEED; seed < FIRST_SEED + GRAPHS; seed++) {
    const found = randomGraph(createRandom(seed));
    const proved: RandomValue[] = [];
    for (const candidate of found.candidates) {
      const verdict = verdictOf(found, candidate);
      counts[verdict]++;
      if (verdict === 'proved') proved.push(candidate);
    }
    if (proved.length === 0) continue;
    const differs = await difference(found, proved, seed);
    assert.ok(differs === undefined || differs === 'refused', `seed ${seed}: ${differs}`);
    runs[differs === undefined ? 'same' : 'refused']++;
  }
  t.diagnostic(
    `${GRAPHS} graphs: outputs ${JSON.stringify(counts)}, graphs with proved outputs ${JSON.stringify(runs)}`,
  );
  assert.ok(runs.same > GRAPHS / 3, `too few graphs with an output that is proved: ${runs.same}`);
  assert.ok(runs.refused < runs.same / 10, `too many graphs that do not run: ${runs.refused}`);
  assert.ok(counts.mixed > counts.proved / 4, `too few outputs that are mixed: ${counts.mixed}`);
});
