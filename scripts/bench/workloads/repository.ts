import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { addConstant } from '../../../test/helpers/models.ts';
import { startStorage } from '../../../test/helpers/storage-server.ts';
import { startContestant } from '../contestant.ts';
import { metricOf } from '../figures.ts';
import { canMeasureMemory, treePss } from '../memory.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import { NOT_BUILT, type Workload } from '../workload.ts';

const NAME = 'repository';
const WRONG: Bar = { want: 'at most', limit: 0, unit: '', of: 'models of 50 with a wrong response' };
const BUDGET: Bar = { want: 'at most', limit: 1, unit: 'x', of: 'most memory of the engines / budget' };

const BUCKET = 'bench-bucket';
const MODELS = 50;
/** The memory that the server assumes for five engine processes with a small model. */
const BUDGET_BYTES = 5 * 73 * 2 ** 20;
const CLIENTS = 4;

export const repository: Workload = {
  name: NAME,
  title: '50 models in one repository, a budget for 5, 4 clients',
  bars: [WRONG, BUDGET],
  async run(bench) {
    const spec = bench.product(bench.inputs.models.iris);
    if (spec === undefined) return this.bars.map((bar) => unmeasured(NAME, bar, NOT_BUILT));
    if (!canMeasureMemory) return this.bars.map((bar) => unmeasured(NAME, bar, 'needs /proc of Linux'));
    const storage = await startStorage();
    for (let i = 0; i < MODELS; i += 1) storage.put(BUCKET, `models/m${i}/model.onnx`, addConstant(i));
    const env = {
      STORAGE_EMULATOR_HOST: storage.url,
      MODEL_URI: `gs://${BUCKET}/models`,
      MODEL_LOAD: 'lazy',
      MODEL_MEMORY_BUDGET: String(BUDGET_BYTES),
    };
    const server = await startContestant({ ...spec, env: { ...spec.env, ...env } }, requestBytes('GET', '/health', ''));
    const idle = treePss(server.pid);
    let [next, right, most] = [0, 0, 0];
    const started = performance.now();

    async function client(): Promise<void> {
      for (let i = next++; i < MODELS; i = next++) {
        const response = await fetch(`http://127.0.0.1:${server.port}/models/m${i}/predict`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: '{"features":[0,0]}',
        });
        const { prediction } = (await response.json()) as { prediction?: number[] };
        if (prediction?.[0] === i && prediction[1] === i) right += 1;
        most = Math.max(most, treePss(server.pid) - idle);
      }
    }

    try {
      await Promise.all(Array.from({ length: CLIENTS }, client));
      const unloads = await metricOf(server.port, 'model_unloads_total');
      const seconds = (performance.now() - started) / 1000;
      const row = [String(right), String(unloads), figure(most), figure(BUDGET_BYTES / 1e6), figure(seconds)];
      console.log(table(['right', 'unloaded', 'most MB above idle', 'budget MB', 's'], [row]));
    } finally {
      await server.stop();
      await storage.close();
    }
    return [judge(NAME, WRONG, spread([MODELS - right])), judge(NAME, BUDGET, spread([(most * 1e6) / BUDGET_BYTES]))];
  },
};
