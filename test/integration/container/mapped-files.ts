import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { call, predict } from '../../helpers/calls.ts';
import { engineProcesses, useHost } from '../../helpers/hosts.ts';
import { lookUp, writeModel } from '../../helpers/models.ts';
import { BACKGROUND_MS, until } from '../../helpers/until.ts';

/** Elements of a model's table, of 2 MB. */
const ROWS = 500_000;

/** The file of a model that is loaded, while others write to it. */
export function mappedFiles(): void {
  const root = mkdtempSync(join(tmpdir(), 'mapped-'));
  after(() => rmSync(root, { recursive: true }));
  const path = (name: string) => join(root, name, 'model.onnx');
  const serve = (name: string) => {
    writeModel(root, name, lookUp(10, ROWS));
    return useHost('container', () => ({
      MODEL_URI: join(root, name),
      INFERENCE_PROCESSES: '1',
      WEIGHTS: 'mapped',
      MODEL_REFRESH_SECONDS: '1',
    }));
  };

  describe('a model whose file is replaced or removed', () => {
    const host = serve('replaced');
    test('serves with what it has loaded until the new file is loaded', async () => {
      assert.deepEqual((await predict(host(), [ROWS - 1])).json().prediction, [10]);
      const [pid] = engineProcesses(host());
      rmSync(path('replaced'));
      assert.deepEqual((await predict(host(), [ROWS - 2])).json().prediction, [10]);
      assert.deepEqual(engineProcesses(host()), [pid], 'the same process');
      writeFileSync(`${path('replaced')}.new`, lookUp(20, ROWS));
      renameSync(`${path('replaced')}.new`, path('replaced'));
      await until(
        async () => (await predict(host(), [ROWS - 1])).json().prediction?.[0] === 20,
        'the new file',
        BACKGROUND_MS,
      );
    });
  });

  for (const [what, write] of [
    ['cut short', (file: string) => truncateSync(file, 4096)],
    ['written to', (file: string) => writeFileSync(file, new Uint8Array(4096), { flag: 'r+' })],
  ] as const) {
    describe(`a model whose compiled file is ${what} while it serves`, () => {
      const name = `compiled-${what.replaceAll(' ', '-')}`;
      const folder = path(`${name}-folder`);
      writeModel(root, name, lookUp(10, ROWS));
      const host = useHost('container', () => ({
        MODEL_URI: join(root, name),
        INFERENCE_PROCESSES: '2',
        COMPILED_MODELS: 'on',
        COMPILED_FOLDER: folder,
      }));
      const hasCompiled = async () =>
        (await call(host(), '/metrics')).text.includes('engine_restarts_total{reason="compiled"} 1\n');
      test('gives no wrong answer, and serves again with the model itself', async () => {
        await until(hasCompiled, 'the compiled model', BACKGROUND_MS);
        const [entry] = readdirSync(folder).filter((one) => /^[0-9a-f]{32}$/.test(one));
        write(join(folder, entry!, 'weights.data'));
        for (let i = 0; i < 8; i++) {
          // The first elements are in a page that was overwritten, the last in one that is gone.
          const { status, json, text } = await predict(host(), [i % 2 === 0 ? ROWS - 1 - i : i]);
          assert.ok(status >= 500 || json().prediction?.[0] === 10, text);
        }
        await until(
          async () => (await predict(host(), [ROWS - 1])).json().prediction?.[0] === 10,
          'the model itself',
          BACKGROUND_MS,
        );
        assert.equal((await call(host(), '/health')).status, 200);
      });
    });
  }

  for (const [what, write] of [
    ['cut short', (file: string) => truncateSync(file, 4096)],
    ['written to', (file: string) => writeFileSync(file, lookUp(20, ROWS), { flag: 'r+' })],
  ] as const) {
    describe(`a model whose file is ${what} while it serves`, () => {
      const name = what.replaceAll(' ', '-');
      const host = serve(name);
      test('gives no wrong answer, the server lives, and a complete file serves again', async () => {
        assert.deepEqual((await predict(host(), [1])).json().prediction, [10]);
        write(path(name));
        // The last element is in a page that no run has read.
        const { status, json, text } = await predict(host(), [ROWS - 1]);
        assert.ok(status === 503 || json().prediction?.[0] === 20, text);
        assert.equal((await call(host(), '/health')).status, 200);
        writeFileSync(`${path(name)}.new`, lookUp(30, ROWS));
        renameSync(`${path(name)}.new`, path(name));
        await until(
          async () => (await predict(host(), [ROWS - 1])).json().prediction?.[0] === 30,
          'the complete file',
          BACKGROUND_MS,
        );
      });
    });
  }
}
