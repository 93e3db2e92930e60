import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { countNodes, pruneModel } from '../../../functions/cli/prune/prune-model.ts';
import { openSession } from '../../../functions/engine/process/session.ts';
import { createNames, removeUnusedInitializers, type Scope, scopesOf } from '../../../functions/onnx/edit/graphs.ts';
import { openModel } from '../../../functions/onnx/edit/open-model.ts';
import { initializer, node } from '../../../functions/onnx/proto/build.ts';
import type { ModelProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { writeModel } from '../../../functions/onnx/proto/write.ts';
import { findDifference } from '../../../functions/tensor/compare.ts';
import type { Tensor } from '../../../functions/tensor/tensor.ts';
import { createRandom, type Random } from '../../../scripts/fuzz/random.ts';
import { randomGraph } from '../../helpers/random-graphs/random-graph.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'prune-graphs-'));
after(() => rmSync(folder, { recursive: true }));

const GRAPHS = 400;
const RUNS = 2;
/** onnxruntime may fuse other nodes, and round in another place, once an Identity between them is gone. */
const TOLERANCE = 1e-4;

/** Inserts what a model can do without: Identities and Dropouts before inputs of nodes, second copies of initializers, unused ones. */
function litter(proto: ModelProto, random: Random): void {
  const name = createNames(proto);
  const opset = Number(proto.opsetImport.find(({ domain }) => domain === '')!.version);
  const isFloat = new Set(proto.graph!.initializer.filter(({ dataType }) => dataType === 1).map((one) => one.name));
  const dropout = (input: string, output: string) => {
    const mode = opset >= 12 && random.chance(0.5);
    if (mode) proto.graph!.initializer.push(initializer(name('mode'), 'bool', [], [0]));
    const inputs = mode ? [input, '', proto.graph!.initializer.at(-1)!.name] : [input];
    return node('Dropout', inputs, random.chance(0.5) ? [output] : [output, name('mask')]);
  };
  for (const { nodes, graph } of [...scopesOf(proto)] as Scope[]) {
    for (const one of [...nodes]) {
      for (const [at, input] of one.input.entries()) {
        if (input === '' || !random.chance(0.3)) continue;
        const copy = graph!.initializer.find((tensor) => tensor.name === input);
        if (copy !== undefined && random.chance(0.7)) {
          const second = { ...copy, name: name('copy') };
          graph!.initializer.push(Object.assign(Object.create(Object.getPrototypeOf(copy)), second));
          one.input[at] = second.name;
          continue;
        }
        const passed = name('passed');
        const extra =
          isFloat.has(input) && random.chance(0.5) ? dropout(input, passed) : node('Identity', [input], [passed]);
        nodes.splice(nodes.indexOf(one), 0, extra);
        one.input[at] = passed;
      }
    }
    graph!.initializer.push(initializer(name('unused'), 'float32', [2], [1, 2]));
  }
}

async function predict(path: string, feeds: readonly Tensor[][]): Promise<Tensor[][] | undefined> {
  const session = await openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] }).catch(() => undefined);
  if (session === undefined) return undefined;
  const results: Tensor[][] = [];
  for (const tensors of feeds) {
    const outputs = await session.run(tensors.map((tensor, slot) => ({ slot, ...tensor }))).catch(() => undefined);
    if (outputs === undefined) return undefined;
    results.push(outputs);
  }
  return results;
}

test('a pruned random graph gives the same as before, and nothing is left of what it can do without', async (t) => {
  let [compared, refused, nodes] = [0, 0, 0];
  for (let seed = 1; seed <= GRAPHS; seed++) {
    const random = createRandom(seed);
    const found = randomGraph(random);
    if (found.candidates.length === 0) continue;
    // More outputs are built than are kept: what only the others need is unused.
    const kept = random.pick(found.candidates);
    const all = [...new Set([kept, random.pick(found.candidates), random.pick(found.candidates)])];
    const [plain, littered, pruned] = ['plain', 'littered', 'pruned'].map((name) => join(folder, `${name}.onnx`)) as [
      string,
      string,
      string,
    ];
    writeFileSync(plain, found.build([kept]));
    const proto = readModel(found.build(all), 'littered');
    litter(proto, random);
    writeFileSync(littered, writeModel(proto));

    const model = openModel(littered);
    await pruneModel(model, { outputs: [kept.name] });
    writeFileSync(pruned, writeModel(model.proto));
    const clean = openModel(plain);
    await pruneModel(clean);
    assert.equal(countNodes(model), countNodes(clean), `seed ${seed}: nodes`);
    assert.equal(tensorsOf(model.proto), tensorsOf(clean.proto), `seed ${seed}: initializers`);
    assert.deepEqual(removeUnusedInitializers(model.proto), []);
    nodes += countNodes(clean);

    const feeds = Array.from({ length: RUNS }, () => found.feeds(random, 1 + random.int(3)));
    const expected = await predict(plain, feeds);
    const got = await predict(pruned, feeds);
    // A node that is gone may have been one that fails.
    if (expected === undefined) {
      refused++;
      continue;
    }
    assert.ok(got !== undefined, `seed ${seed}: the pruned graph does not run`);
    compared++;
    for (const [run, outputs] of expected.entries()) {
      for (const [at, output] of outputs.entries()) {
        const difference = findDifference(output, got[run]![at]!, TOLERANCE);
        assert.equal(difference, undefined, `seed ${seed}, run ${run}: ${JSON.stringify(difference)}`);
      }
    }
  }
  t.diagnostic(`${compared} graphs compared, ${refused} that do not run; ${nodes} nodes`);
  assert.ok(compared > GRAPHS / 2, `too few graphs that run: ${compared}`);
});

const tensorsOf = (proto: ModelProto): number =>
  [...scopesOf(proto)].reduce((sum, { graph }) => sum + (graph?.initializer.length ?? 0), 0);
