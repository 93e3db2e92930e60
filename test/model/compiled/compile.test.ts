import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { CompiledModel } from '../../../functions/model/compiled/compiled-models.ts';
import { keyOf, sealEntry, targetIn } from '../../../functions/model/compiled/entry.ts';
import { describeMachine } from '../../../functions/model/compiled/machine.ts';
import { compileAt } from '../../helpers/compiled.ts';
import { LARGE_WEIGHTS, layers } from '../../helpers/large-weights.ts';
import { identity } from '../../helpers/models.ts';

const root = mkdtempSync(join(tmpdir(), 'compile-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

/** A model file, and what makes its entry: `damage` changes what onnxruntime has written. */
function setUp(bytes: Uint8Array, damage: (target: ReturnType<typeof targetIn>) => void = () => {}) {
  const folder = join(root, String(++folders));
  mkdirSync(folder);
  const path = join(folder, 'model.onnx');
  writeFileSync(path, bytes);
  const make: CompiledModel['make'] = async (_, compile, check) => {
    await compile(targetIn(folder));
    damage(targetIn(folder));
    const files = await sealEntry(folder, keyOf(describeMachine(), 'test'));
    await check(files);
    return files;
  };
  return { path, make };
}

test('a compiled model whose outputs are those of the model is accepted', async () => {
  const { path, make } = setUp(layers());
  assert.equal((await compileAt(path, { make }))!.stamps.length, 2);
});

test('a compiled model whose outputs differ is refused', async () => {
  const { path, make } = setUp(layers(), ({ data }) => {
    const content = readFileSync(data);
    const numbers = new Float32Array(content.buffer, content.byteOffset, content.length / 4);
    writeFileSync(
      data,
      numbers.map((number) => number * 1.01),
    );
  });
  await assert.rejects(compileAt(path, { make }), /element \d+ of its output 0 is .* when compiled, and .* before/);
});

test('a compiled model that onnxruntime does not load is refused', async () => {
  const { path, make } = setUp(LARGE_WEIGHTS['subgraphs of If and Loop']!());
  await assert.rejects(
    compileAt(path, { make }),
    /its weights are packed: the compiled model does not load: .*not unique/s,
  );
});

test('a model without large weights is not compiled', async () => {
  const { path, make } = setUp(identity());
  await assert.rejects(compileAt(path, { make }), /its weights are copied/);
});

test('an abort ends the process that compiles', async () => {
  const { path, make } = setUp(layers());
  const abort = new AbortController();
  const aborted: CompiledModel['make'] = (bytes, compile, check) => {
    const compileAndAbort = async (target: Parameters<typeof compile>[0]): Promise<void> => {
      const compiling = compile(target);
      abort.abort();
      await compiling;
    };
    return make(bytes, compileAndAbort, check);
  };
  await assert.rejects(compileAt(path, { make: aborted }, 1000, abort.signal), /the engine process ended: .*SIGKILL/);
});
