import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, metric, predict } from '../../helpers/calls.ts';
import { kill } from '../../helpers/descendants.ts';
import { engineProcesses, type Host, type HostKind, useHost, withStoppedEngines } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import { slow } from '../../helpers/models.ts';
import { BACKGROUND_MS, until } from '../../helpers/until.ts';

const busy = (host: Host): Promise<number> => metric(host, 'engine_processes', { state: 'busy' });
const idle = (host: Host): Promise<number> => metric(host, 'engine_processes', { state: 'idle' });

/** Engine processes that are killed. */
export function engines(kind: HostKind): void {
  describe('engine processes', { concurrency: 1 }, () => {
    const host = useHost(kind, () => ({
      MODEL_URI: modelFolder('slow', slow()),
      INFERENCE_PROCESSES: '2',
      MAX_BATCH_SIZE: '2',
    }));

    test('one that is killed in the middle of a run is replaced, and all are answered', async () => {
      await until(async () => (await idle(host())) === 2, 'both engines');
      const before = engineProcesses(host());
      const answers = await withStoppedEngines(host(), async () => {
        const asked = Array.from({ length: 12 }, (_, i) => predict(host(), [i]));
        await until(async () => (await busy(host())) === 2, 'two runs');
        kill(before[0]!);
        return asked;
      });
      for (const [i, { status, json, text }] of (await Promise.all(answers)).entries()) {
        assert.equal(status, 200, text);
        assert.deepEqual(json().prediction, [i]);
      }
      await until(async () => (await idle(host())) === 2, 'the replacement', BACKGROUND_MS);
      const after = engineProcesses(host());
      assert.equal(after.length, 2);
      assert.ok(!after.includes(before[0]!) && after.includes(before[1]!));
      assert.equal(await metric(host(), 'engine_restarts_total', { reason: 'crash' }), 1);
      assert.equal(await metric(host(), 'engine_restarts_total'), 1);
    });

    test('a crash loop turns /ready to 503, /health stays, and the server heals by itself', async () => {
      const unready = await until(async () => {
        for (const pid of engineProcesses(host())) kill(pid);
        const answer = await call(host(), '/ready');
        return answer.status === 503 && !/: loading/.test(answer.text) && answer;
      }, '/ready to say 503');
      assert.equal(unready.json().code, 'NOT_READY');
      assert.match(unready.json().error, /not ready: its engine processes keep ending/);
      assert.ok(Number(unready.headers.get('retry-after')) >= 1);
      const health = await call(host(), '/health');
      assert.deepEqual([health.status, health.json().status, health.json().model.state], [200, 'ok', 'degraded']);
      const refused = await predict(host(), [0]);
      assert.deepEqual([refused.status, refused.json().code], [503, 'NOT_READY']);
      assert.match(refused.json().error, /engine/);
      assert.ok(Number(refused.headers.get('retry-after')) >= 1);

      await until(async () => (await call(host(), '/ready')).status === 200, 'the server to heal');
      assert.deepEqual((await predict(host(), [0])).json().prediction, [0]);
    });
  });
}
