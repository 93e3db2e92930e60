import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRowIndependence } from '../../../functions/batching/read-row-independence.ts';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { model, node, value } from '../../../functions/onnx/proto/build.ts';
import { forest } from '../../../test/helpers/graphs/trees.ts';
import { encoder } from '../encoder-graph.ts';
import { raceServers, raceTable, series } from '../race.ts';
import { type Bar, judge, ratios, spread, unmeasured } from '../summary.ts';
import { NOT_BUILT, PRODUCT, present, type Workload } from '../workload.ts';

const NAME = 'batching';
const ON = '"batching": true';
const OFF = '"batching": false';
const OVER_ON: Bar = { want: 'at least', limit: 0.95, unit: 'x', of: `rate of a forest as exported / ${ON}` };
const ANALYSIS: Bar = { want: 'at most', limit: 100, unit: 'ms', of: 'analysis of a graph of the size of BERT-large' };
const FEATURES = 12;

/** `X` float32 [N,12] -> a label and scores of 3 classes, by 100 trees of 127 nodes. */
function forestModel(): Uint8Array {
  const trees = forest({ trees: 100, depth: 6, features: FEATURES, targets: 3, kind: 'class' });
  const attributes = { ...trees, classlabels_int64s: [0n, 1n, 2n], post_transform: 'NONE' };
  return model({
    name: 'forest',
    nodes: [node('TreeEnsembleClassifier', ['X'], ['label', 'scores'], attributes, { domain: 'ai.onnx.ml' })],
    inputs: [value('X', 'float32', ['N', FEATURES])],
    outputs: [value('label', 'int64', ['N']), value('scores', 'float32', ['N', 3])],
    mlOpset: 3,
  });
}

export const batching: Workload = {
  name: NAME,
  title: 'random forest, 32 connections: batched by proof, and by model.json; and the analysis itself',
  bars: [OVER_ON, ANALYSIS],
  async run(bench) {
    const temp = join(tmpdir(), `bench-batching-${process.pid}`);
    const features = Array.from({ length: FEATURES }, (_, i) => (i % 7) / 4 - 1);
    const text = JSON.stringify({ features });
    const input = (name: string, manifest: object) => {
      const folder = join(temp, name);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'model.onnx'), forestModel());
      writeFileSync(join(folder, 'model.json'), JSON.stringify(manifest));
      writeFileSync(join(folder, 'body.json'), text);
      return { folder, body: join(folder, 'body.json'), request: requestBytes('POST', '/predict', text) };
    };
    const exported = input('exported', {});
    const named = (name: string, manifest: object) => {
      const spec = bench.product(input(name.replaceAll(/\W+/g, '-'), manifest));
      return spec && { ...spec, name };
    };
    const servers = present([bench.product(exported), named(ON, { batching: true }), named(OFF, { batching: false })]);
    const race = await raceServers(servers, exported, { connections: 32, seconds: bench.quick ? 1 : 4 }, bench.rounds);
    console.log(raceTable(race, ON));
    const [own, on] = [PRODUCT, ON].map((name) => series(race, name, ({ rate }) => rate)) as [number[], number[]];

    const path = join(temp, 'encoder.onnx');
    writeFileSync(path, encoder({ layers: 24, heads: 16, hidden: 64 }));
    const times = Array.from({ length: Math.max(3, bench.rounds) }, () => {
      const started = performance.now();
      const { verdict } = readRowIndependence(path);
      if (verdict !== 'proved') throw new Error(`the encoder is ${verdict}`);
      return performance.now() - started;
    });
    return [
      own.length === 0 || on.length === 0
        ? unmeasured(NAME, OVER_ON, NOT_BUILT)
        : judge(NAME, OVER_ON, ratios(own, on)),
      judge(NAME, ANALYSIS, spread(times)),
    ];
  },
};
