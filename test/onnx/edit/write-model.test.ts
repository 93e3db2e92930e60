import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openSession } from '../../../functions/engine/process/session.ts';
import { ServingError } from '../../../functions/errors.ts';
import { openModel } from '../../../functions/onnx/edit/open-model.ts';
import { isExternal, placeOf, readTensor, setTensor } from '../../../functions/onnx/edit/tensor-data.ts';
import { writeModel } from '../../../functions/onnx/edit/write-model.ts';
import { inspectModel } from '../../../functions/onnx/inspect.ts';
import { graph, initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { writeModel as encode } from '../../../functions/onnx/proto/write.ts';
import { createRandom } from '../../../scripts/fuzz/random.ts';
import { COLUMNS, EXTERNAL, LARGE_WEIGHTS, layers, partlyExternal } from '../../helpers/large-weights.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const ROWS = 3;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'write-model-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
const list = (): string[] => readdirSync(folder).sort();

function save(name: string, content: Uint8Array): string {
  writeFileSync(at('model.onnx.data'), EXTERNAL);
  writeFileSync(at(name), content);
  return at(name);
}

/** The outputs of a model for some rows. */
async function predict(path: string) {
  const session = await openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] });
  const random = createRandom(1);
  const data = Float32Array.from({ length: ROWS * COLUMNS }, () => random.int(1000) / 500 - 1);
  const outputs = await session.run([{ slot: 0, dtype: 'float32', dims: [ROWS, COLUMNS], data }]);
  return outputs.map(({ dims, data: elements }) => ({ dims, data: Array.from(elements as Float32Array) }));
}

for (const [title, build] of Object.entries(LARGE_WEIGHTS)) {
  test(`a model with ${title} is written with its weights inside and outside, and gives the same as before`, async () => {
    const opened = openModel(save('a.onnx', build()));
    const inside = await writeModel(opened, at('b.onnx'), { externalData: false });
    const outside = await writeModel(opened, at('c.onnx'), { externalData: true });
    assert.deepEqual(inspectModel(at('b.onnx')).external, []);
    assert.deepEqual(inspectModel(at('c.onnx')).external, ['c.onnx.data']);
    assert.deepEqual(outside.files, [at('c.onnx'), at('c.onnx.data')]);
    assert.equal(inside.bytes, statSync(at('b.onnx')).size);
    assert.equal(outside.bytes, statSync(at('c.onnx')).size + statSync(at('c.onnx.data')).size);
    const expected = await predict(at('a.onnx'));
    assert.deepEqual(await predict(at('b.onnx')), expected);
    assert.deepEqual(await predict(at('c.onnx')), expected);
    assert.deepEqual(list(), ['a.onnx', 'b.onnx', 'c.onnx', 'c.onnx.data', 'model.onnx.data']);
  });
}

describe('the new file', () => {
  test('has the same messages as the old one', async () => {
    const content = LARGE_WEIGHTS['subgraphs of If and Loop']!();
    await writeModel(openModel(save('a.onnx', content)), at('b.onnx'));
    const canonical = (bytes: Uint8Array): Buffer => Buffer.from(encode(readModel(bytes, 'a')));
    assert.deepEqual(canonical(readFileSync(at('b.onnx'))), canonical(content));
  });

  test('is the same for the same model, byte by byte', async () => {
    const opened = openModel(save('a.onnx', layers()));
    await writeModel(opened, at('b.onnx'));
    await writeModel(opened, at('c.onnx'));
    assert.deepEqual(readFileSync(at('b.onnx')), readFileSync(at('c.onnx')));
  });

  test('keeps fields that onnx.proto of this project does not have: of the model, of a graph and of a tensor', async () => {
    const parsed = readModel(layers(), 'a');
    const field = (no: number) => [{ no, wireType: 0, data: Buffer.of(42) }];
    parsed.$unknown = field(900);
    parsed.graph!.$unknown = field(901);
    parsed.graph!.initializer[0]!.$unknown = field(16);
    parsed.graph!.node[0]!.$unknown = field(903);
    await writeModel(openModel(save('a.onnx', encode(parsed))), at('b.onnx'));
    const { $unknown, graph: inner } = readModel(readFileSync(at('b.onnx')), 'b');
    assert.deepEqual($unknown, field(900));
    assert.deepEqual(inner!.$unknown, field(901));
    assert.deepEqual(inner!.initializer[0]!.$unknown, field(16));
    assert.deepEqual(inner!.node[0]!.$unknown, field(903));
  });

  test('has new elements in place of old ones: bytes, and those of a producer', async () => {
    const opened = openModel(save('a.onnx', layers()));
    const [a, b] = opened.graph.initializer;
    const half = Buffer.alloc(COLUMNS * 96 * 4, 1);
    setTensor(a!, { data: half });
    const bytes = 1280 * 96 * 4;
    setTensor(b!, {
      data: {
        bytes,
        async *chunks() {
          for (let done = 0; done < bytes; done += 4096) yield new Uint8Array(4096).fill(2);
        },
      },
    });
    await writeModel(opened, at('b.onnx'), { externalData: true });
    const again = openModel(at('b.onnx'));
    assert.deepEqual(Buffer.from(await readTensor(again, again.graph.initializer[0]!)), half);
    assert.deepEqual(Buffer.from(await readTensor(again, again.graph.initializer[1]!)), Buffer.alloc(bytes, 2));
  });

  test('has the weights of attributes inside, at any depth of graphs', async () => {
    const constant = (name: string) =>
      node('Constant', [], [name], {
        value: initializer('', 'float32', [COLUMNS, 32], new Float32Array(COLUMNS * 32).fill(0.5)),
      });
    const branch = (name: string) =>
      graph({
        name,
        nodes: [constant(`${name}_w`), node('MatMul', ['x', `${name}_w`], [`${name}_y`])],
        inputs: [],
        outputs: [value(`${name}_y`, 'float32')],
      });
    const content = model({
      name: 'constants',
      nodes: [
        node('ReduceSum', ['x'], ['total'], { keepdims: 0n }),
        node('Greater', ['total', 'zero'], ['positive']),
        node('If', ['positive'], ['h'], { then_branch: branch('left'), else_branch: branch('right') }),
        constant('w'),
        node('MatMul', ['x', 'w'], ['g']),
        node('Add', ['g', 'h'], ['y']),
      ],
      initializers: [initializer('zero', 'float32', [], [0])],
      inputs: [value('x', 'float32', ['N', COLUMNS])],
      outputs: [value('y', 'float32')],
    });
    await writeModel(openModel(save('a.onnx', content)), at('b.onnx'), { externalData: true });
    assert.deepEqual(inspectModel(at('b.onnx')).external, []);
    assert.deepEqual(await predict(at('b.onnx')), await predict(at('a.onnx')));
  });
});

describe('external data', () => {
  test('of the old file stays external, all in one file whose offsets are multiples of 4096', async () => {
    const opened = openModel(save('a.onnx', partlyExternal()));
    await writeModel(opened, at('b.onnx'));
    const { graph: written, external } = openModel(at('b.onnx'));
    assert.deepEqual(external, ['b.onnx.data']);
    assert.deepEqual(
      written.initializer.map((tensor) => placeOf(tensor)),
      [0, 16_384].map((offset) => ({ location: 'b.onnx.data', offset })),
    );
  });

  test('is used where the model is too large for protobuf', async () => {
    const opened = openModel(save('a.onnx', layers()));
    await writeModel(opened, at('b.onnx'), { limitBytes: 100_000 });
    assert.deepEqual(inspectModel(at('b.onnx')).external, ['b.onnx.data']);
    assert.ok(statSync(at('b.onnx')).size < 1000);
    assert.deepEqual(await predict(at('b.onnx')), await predict(at('a.onnx')));
  });

  test('has no small initializers', async () => {
    const small = model({
      name: 'small',
      nodes: [node('Add', ['x', 'b'], ['y'])],
      initializers: [initializer('b', 'float32', [COLUMNS], new Float32Array(COLUMNS))],
      inputs: [value('x', 'float32', ['N', COLUMNS])],
      outputs: [value('y', 'float32')],
    });
    await writeModel(openModel(save('a.onnx', small)), at('b.onnx'), { externalData: true });
    assert.ok(!isExternal(openModel(at('b.onnx')).graph.initializer[0]!));
    assert.ok(!existsSync(at('b.onnx.data')));
  });

  test('of the model that is read is never overwritten by another model', async () => {
    const opened = openModel(save('a.onnx', partlyExternal()));
    for (const name of ['model.onnx', 'model.onnx.data']) {
      await assert.rejects(writeModel(opened, at(name)), (error) => {
        return (
          error instanceof ServingError && /has its external data there: write to another file/.test(error.message)
        );
      });
    }
    assert.deepEqual(readFileSync(at('model.onnx.data')), Buffer.from(EXTERNAL));
    assert.deepEqual(list(), ['a.onnx', 'model.onnx.data']);
  });
});

test('a model is written to its own path, with its external data', async () => {
  save('model.onnx', partlyExternal());
  const expected = await predict(at('model.onnx'));
  await writeModel(openModel(at('model.onnx')), at('model.onnx'));
  assert.deepEqual(await predict(at('model.onnx')), expected);
  assert.deepEqual(list(), ['model.onnx', 'model.onnx.data']);
});

test('the progress ends with all bytes, and never goes back', async () => {
  const opened = openModel(save('a.onnx', layers()));
  const calls: [number, number][] = [];
  const { bytes } = await writeModel(opened, at('b.onnx'), {
    externalData: true,
    onProgress: (...call) => calls.push(call),
  });
  assert.deepEqual(calls.at(-1), [bytes, bytes]);
  assert.ok(calls.every(([done, total], i) => total === bytes && done >= (calls[i - 1]?.[0] ?? 0)));
});

describe('a write that does not end', () => {
  const before = Buffer.from('the old file');

  test('leaves the old file and nothing else after an abort', async () => {
    const opened = openModel(save('a.onnx', layers()));
    writeFileSync(at('b.onnx'), before);
    const controller = new AbortController();
    const reason = new Error('stop');
    const write = writeModel(opened, at('b.onnx'), {
      externalData: true,
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await assert.rejects(write, reason);
    assert.deepEqual(list(), ['a.onnx', 'b.onnx', 'model.onnx.data']);
    assert.deepEqual(readFileSync(at('b.onnx')), before);
  });

  test('leaves nothing after a producer fails, or makes too little', async () => {
    for (const chunks of [
      async function* () {
        yield new Uint8Array(100);
        throw new Error('no more');
      },
      () => [new Uint8Array(100)],
    ]) {
      const opened = openModel(save('a.onnx', layers()));
      setTensor(opened.graph.initializer[0]!, { data: { bytes: COLUMNS * 96 * 4, chunks } });
      await assert.rejects(writeModel(opened, at('b.onnx')), /no more|expected 24576 bytes .*, got 100/);
      assert.deepEqual(list(), ['a.onnx', 'model.onnx.data']);
    }
  });

  test('leaves nothing where the target is a folder', async () => {
    const opened = openModel(save('a.onnx', layers()));
    mkdirSync(at('b.onnx'));
    await assert.rejects(writeModel(opened, at('b.onnx')), { code: 'EISDIR' });
    assert.deepEqual(list(), ['a.onnx', 'b.onnx', 'model.onnx.data']);
  });

  const EDIT = new URL('../../../functions/onnx/edit/', import.meta.url).href;
  const unfinished = (end: string): string => `
    const { openModel } = await import('${EDIT}open-model.ts');
    const { setTensor } = await import('${EDIT}tensor-data.ts');
    const { writeModel } = await import('${EDIT}write-model.ts');
    const opened = openModel(process.argv[1]);
    async function* chunks() {
      console.log('begun');
      ${end}
      await new Promise((resolve) => setInterval(resolve, 1e9));
    }
    setTensor(opened.graph.initializer[0], { data: { bytes: ${COLUMNS * 96 * 4}, chunks } });
    await writeModel(opened, process.argv[2]);`;

  test('leaves nothing after Ctrl-C, and the process ends by the signal', async () => {
    save('a.onnx', layers());
    const child = spawn(process.execPath, ['--input-type=module', '-e', unfinished(''), at('a.onnx'), at('b.onnx')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    assert.equal(list().filter((name) => name.endsWith('.part')).length, 1);
    child.kill('SIGINT');
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGINT']);
    assert.deepEqual(list(), ['a.onnx', 'model.onnx.data']);
  });

  test('leaves nothing after the process exits by itself', async () => {
    save('a.onnx', layers());
    const script = unfinished('process.exit(130);');
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, at('a.onnx'), at('b.onnx')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    assert.deepEqual(await once(child, 'exit'), [130, null]);
    assert.deepEqual(list(), ['a.onnx', 'model.onnx.data']);
  });
});
