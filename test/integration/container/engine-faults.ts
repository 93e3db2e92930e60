import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { call, metric, predict } from '../../helpers/calls.ts';
import { kill } from '../../helpers/descendants.ts';
import { engineProcesses, type Host, useHost } from '../../helpers/hosts.ts';
import { endlessFolder, modelFolder } from '../../helpers/model-folder.ts';
import { addConstant, identity, slow, writeModel } from '../../helpers/models.ts';
import { BACKGROUND_MS, until } from '../../helpers/until.ts';

const KILLS = 4;
const CLIENTS = 4;

const engines = (host: Host, state: 'idle' | 'busy'): Promise<number> => metric(host, 'engine_processes', { state });

/** Predicts until it is told to stop, and counts the rows that were answered in `answered[i]`. */
async function client(host: Host, answered: number[], i: number, over: AbortSignal): Promise<void> {
  for (answered[i] = 0; !over.aborted; answered[i]!++) {
    const x: number = 10_000 * i + (answered[i]! % 1000);
    const { status, json, text } = await predict(host, [x, x + 0.5]);
    assert.equal(status, 200, text);
    assert.deepEqual(json().prediction, [x + 7, x + 7.5]);
  }
}

/** Engine processes that are killed or stopped from outside, one after the other. */
export function engineFaults(): void {
  for (const processes of [1, 2]) {
    describe(`${processes} engine process(es), each killed as soon as it is replaced`, () => {
      const uri = modelFolder(`add-${processes}`, addConstant(7));
      const host = useHost('container', () => ({ MODEL_URI: uri, INFERENCE_PROCESSES: String(processes) }));

      test('under load no answer is wrong, and none fails', async () => {
        await until(() => engineProcesses(host()).length === processes, 'all engines');
        const over = new AbortController();
        const answered: number[] = [];
        const clients = Array.from({ length: CLIENTS }, (_, i) => client(host(), answered, i, over.signal));
        const killed = (async () => {
          for (let kills = 1; kills <= KILLS; kills++) {
            kill(engineProcesses(host())[0]!);
            const replaced = async () =>
              (await metric(host(), 'engine_restarts_total')) === kills &&
              (await engines(host(), 'idle')) + (await engines(host(), 'busy')) === processes;
            await until(replaced, 'the replacement');
            // A row whose process is killed runs once more: that run is over when its client has an answer.
            const before = [...answered];
            await until(
              () => over.signal.aborted || answered.every((rows, i) => rows > before[i]! + 1),
              'an answer for each',
            );
          }
        })().finally(() => over.abort());
        await Promise.all([killed, ...clients.map((one) => one.finally(() => over.abort()))]);
        assert.equal(await metric(host(), 'engine_restarts_total', { reason: 'crash' }), KILLS);
      });
    });
  }

  describe('an engine process that is stopped', () => {
    const host = useHost('container', () => ({
      MODEL_URI: endlessFolder(),
      INFERENCE_PROCESSES: '2',
      RUN_TIMEOUT_MS: '3000',
      MAX_BATCH_SIZE: '1',
    }));

    test('the request in its run gets 504, others are answered meanwhile, and the process is replaced', async () => {
      await until(async () => (await engines(host(), 'idle')) === 2, 'both engines');
      const [pid] = engineProcesses(host());
      process.kill(pid!, 'SIGSTOP');
      const stopped = predict(host(), [-1]);
      const others = await Promise.all(Array.from({ length: 20 }, (_, i) => predict(host(), [-i])));
      const answers = [await stopped, ...others].map(({ status, json }) => [
        status,
        json().code ?? json().prediction[0],
      ]);
      assert.equal(answers.filter(([status]) => status === 200).length, 20);
      assert.deepEqual(
        answers.filter(([status]) => status !== 200),
        [[504, 'DEADLINE']],
      );
      await until(async () => (await engines(host(), 'idle')) === 2, 'the replacement');
      assert.ok(!engineProcesses(host()).includes(pid!));
    });
  });

  describe('a newer model whose engine process is stopped while it is prepared', () => {
    const root = mkdtempSync(join(tmpdir(), 'stopped-'));
    after(() => rmSync(root, { recursive: true }));
    writeModel(root, 'column/1', identity('float32', ['N', 1]));
    const host = useHost('container', () => ({
      MODEL_URI: join(root, 'column'),
      MODEL_REFRESH_SECONDS: '1',
      INFERENCE_PROCESSES: '1',
    }));

    test('the old model serves meanwhile, and after the process is killed', async () => {
      const serves = async () => {
        const { status, json } = await predict(host(), [3]);
        assert.deepEqual([status, json().prediction, json().model.version], [200, [3], '1']);
        assert.equal((await call(host(), '/ready')).status, 200);
      };
      await serves();
      const before = engineProcesses(host());
      // Its golden row takes so long that the process is stopped before it is done.
      writeModel(root, 'column/2', slow(), {}, { rows: [{ features: [20_000], outputs: { y: [20_000] } }] });
      const pid = await until(
        () => engineProcesses(host()).find((one) => !before.includes(one)),
        'its process',
        BACKGROUND_MS,
      );
      process.kill(pid, 'SIGSTOP');
      for (let i = 0; i < 20; i++) await serves();
      kill(pid);
      const failed = async () => (await metric(host(), 'model_refreshes_total', { outcome: 'failed' })) >= 1;
      await until(failed, 'the refusal', BACKGROUND_MS);
      await serves();
    });
  });
}
