import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { batch, call, linesOf, metric, predict } from '../../helpers/calls.ts';
import { engineProcesses, type HostKind, useHost, withStoppedEngines } from '../../helpers/hosts.ts';
import { endlessFolder, modelFolder } from '../../helpers/model-folder.ts';
import { slow } from '../../helpers/models.ts';
import { until } from '../../helpers/until.ts';

/** REQUEST_TIMEOUT_MS, which answers, and RUN_TIMEOUT_MS, which kills. */
export function deadlines(kind: HostKind): void {
  describe('a run that never ends', { concurrency: 1 }, () => {
    const env = { INFERENCE_PROCESSES: '2', RUN_TIMEOUT_MS: '1000' };
    const host = useHost(kind, () => ({ MODEL_URI: endlessFolder(), ...env }));

    test('costs its owner a 504, and the others in its run nothing', async () => {
      await until(() => engineProcesses(host()).length === 2, 'both engines');
      const asked = Array.from({ length: 40 }, (_, i) => (i === 11 ? 1 : -1 - i));
      const answers = await Promise.all(asked.map((x) => predict(host(), [x])));
      for (const [i, { status, json }] of answers.entries()) {
        if (i === 11) {
          assert.deepEqual([status, json().code], [504, 'DEADLINE']);
          assert.match(json().error, /1000 ms/);
        } else assert.deepEqual([status, json().prediction], [200, [asked[i]]]);
      }
      assert.ok((await metric(host(), 'engine_restarts_total', { reason: 'run_timeout' })) >= 1);
    });

    test('fails alone in a batch, too', async () => {
      const lines = linesOf(
        await batch(
          host(),
          [-1, -2, 3, -4].map((x) => ({ features: [x] })),
        ),
      );
      assert.deepEqual(lines.pop(), { done: true, ok: 3, failed: 1 });
      assert.deepEqual(lines[2].error.code, 'DEADLINE');
      assert.deepEqual(
        [lines[0], lines[1], lines[3]].map((line) => line.prediction),
        [[-1], [-2], [-4]],
      );
    });

    test('does not make the server unready for long: killed engines are replaced', async () => {
      await until(async () => (await metric(host(), 'engine_processes', { state: 'idle' })) === 2, 'two idle engines');
      assert.equal((await call(host(), '/ready')).status, 200);
    });
  });

  describe('REQUEST_TIMEOUT_MS', { concurrency: 1 }, () => {
    const env = { INFERENCE_PROCESSES: '1', REQUEST_TIMEOUT_MS: '600', RUN_TIMEOUT_MS: '600000' };
    const host = useHost(kind, () => ({ MODEL_URI: modelFolder('slow', slow()), ...env }));

    test('answers 504 while the run goes on, drops what waited, and the server serves on', async () => {
      const engine = engineProcesses(host());
      const rows = await withStoppedEngines(host(), async () => {
        const late = predict(host(), [0]);
        await until(async () => (await metric(host(), 'engine_processes', { state: 'busy' })) === 1, 'the run');
        const waiting = predict(host(), [1]);
        for (const { status, json } of await Promise.all([late, waiting])) {
          assert.deepEqual([status, json().code], [504, 'DEADLINE']);
          assert.match(json().error, /600 ms/);
        }
        assert.equal(await metric(host(), 'engine_processes', { state: 'busy' }), 1, 'the run goes on');
        return metric(host(), 'prediction_rows_per_run_sum');
      });
      await until(
        async () => (await metric(host(), 'engine_processes', { state: 'idle' })) === 1,
        'the end of the run',
      );
      assert.deepEqual((await predict(host(), [0])).json().prediction, [0]);
      assert.equal(await metric(host(), 'prediction_rows_per_run_sum'), rows + 2, 'what waited was not run');
      assert.deepEqual(engineProcesses(host()), engine, 'nothing was killed');
      assert.ok((await metric(host(), 'requests_rejected_total', { reason: 'deadline' })) >= 2);
    });
  });
}
