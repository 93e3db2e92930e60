import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { DATA_TYPES } from '../../../functions/onnx/data-type.ts';
import { initializer, model, node, value } from '../../../scripts/onnx/build.ts';
import { call, predict } from '../../helpers/calls.ts';
import { engineProcesses, useHost } from '../../helpers/hosts.ts';
import { writeModel } from '../../helpers/models.ts';
import { until } from '../../helpers/until.ts';

const ROWS = 500_000;

/** `y` = element `x` of a table of 2 MB, float32 [N,1]: each element is `constant`. */
function table(constant: number): Uint8Array {
  return model({
    name: 'table',
    nodes: [node('Cast', ['x'], ['at'], { to: BigInt(DATA_TYPES.int64) }), node('Gather', ['table', 'at'], ['y'])],
    initializers: [initializer('table', 'float32', [ROWS], new Float32Array(ROWS).fill(constant))],
    inputs: [value('x', 'float32', ['N', 1])],
    outputs: [value('y', 'float32', ['N', 1])],
  });
}

/** The file of a model that is loaded, while others write to it. */
export function mappedFiles(): void {
  const root = mkdtempSync(join(tmpdir(), 'mapped-'));
  after(() => rmSync(root, { recursive: true }));
  const path = (name: string) => join(root, name, 'model.onnx');
  const serve = (name: string) => {
    writeModel(root, name, table(10));
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
      writeFileSync(`${path('replaced')}.new`, table(20));
      renameSync(`${path('replaced')}.new`, path('replaced'));
      await until(async () => (await predict(host(), [ROWS - 1])).json().prediction?.[0] === 20, 'the new file');
    });
  });

  for (const [what, write] of [
    ['cut short', (file: string) => truncateSync(file, 4096)],
    ['written to', (file: string) => writeFileSync(file, table(20), { flag: 'r+' })],
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
        writeFileSync(`${path(name)}.new`, table(30));
        renameSync(`${path(name)}.new`, path(name));
        await until(async () => (await predict(host(), [ROWS - 1])).json().prediction?.[0] === 30, 'the complete file');
      });
    });
  }
}
