import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { addConstant } from '../../../test/helpers/models.ts';
import { startStorage } from '../../../test/helpers/storage-server.ts';
import { startContestant } from '../contestant.ts';
import { versionOf } from '../figures.ts';
import { canMeasureMemory, treePss } from '../memory.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import type { SwapResult } from '../swap-client.ts';
import { figure, table } from '../table.ts';
import { NOT_BUILT, type Workload } from '../workload.ts';

const NAME = 'swaps';
const FAILED: Bar = { want: 'at most', limit: 0, unit: '', of: 'requests that failed' };
const MIXED: Bar = { want: 'at most', limit: 0, unit: '', of: 'responses of no single version' };
/** The memory of a garbage-collected process is never constant; a leak of 200 kB for each swap would be 18 MB here. */
const LEVEL: Bar = { want: 'at most', limit: 10, unit: 'MB', of: 'growth from the tenth swap to the last' };

const BUCKET = 'bench-bucket';
const CLIENT = join(import.meta.dirname, '../swap-client.ts');
const BOUND_MS = 30_000;

export const swaps: Workload = {
  name: NAME,
  title: 'swaps of a model in a bucket under 32 connections',
  bars: [FAILED, MIXED, LEVEL],
  async run(bench) {
    const spec = bench.product(bench.inputs.models.iris);
    if (spec === undefined) return this.bars.map((bar) => unmeasured(NAME, bar, NOT_BUILT));
    if (!canMeasureMemory) return this.bars.map((bar) => unmeasured(NAME, bar, 'needs /proc of Linux'));
    const count = bench.quick ? 20 : 100;
    const storage = await startStorage();
    storage.put(BUCKET, 'm/1/model.onnx', addConstant(1));
    const env = { STORAGE_EMULATOR_HOST: storage.url, MODEL_URI: `gs://${BUCKET}/m`, MODEL_REFRESH_SECONDS: '1' };
    const server = await startContestant(
      { ...spec, env: { ...spec.env, ...env } },
      requestBytes('POST', '/predict', '{"features":[0,0]}'),
    );
    const client = spawn(process.execPath, [CLIENT, '--port', String(server.port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(client, 'exit');
    const printed = text(client.stdout);
    const memory: number[] = [];
    try {
      for (let version = 2; version <= count + 1; version += 1) {
        storage.put(BUCKET, `m/${version}/model.onnx`, addConstant(version));
        await versionOf(server.port, String(version), BOUND_MS);
        storage.remove(BUCKET, `m/${version - 1}/model.onnx`);
        memory.push(treePss(server.pid));
      }
      client.stdin.end();
      await ended;
    } finally {
      client.kill('SIGKILL');
      await server.stop();
      await storage.close();
    }
    const result = JSON.parse(await printed) as SwapResult;
    // The median of ten measurements: two generations at the same time are no growth.
    const around = (at: number): number => spread(memory.slice(at - 5, at + 5)).median;
    const [tenth, last] = [around(14), around(memory.length - 5)];
    const rows = [
      [count, result.requests, result.failed, result.mixed, result.versions]
        .map(String)
        .concat(figure(tenth), figure(last)),
    ];
    console.log(table(['swaps', 'requests', 'failed', 'mixed', 'versions', 'MB after ten', 'MB at the end'], rows));
    for (const [why, times] of Object.entries(result.failures)) console.log(`  ${times} x ${why}`);
    return [
      judge(NAME, FAILED, spread([result.failed])),
      judge(NAME, MIXED, spread([result.mixed])),
      judge(NAME, LEVEL, spread([last - tenth])),
    ];
  },
};
