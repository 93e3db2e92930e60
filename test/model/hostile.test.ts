import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createRepository, type Repository } from '../../functions/model/repository/repository.ts';
import type { EngineOptions } from '../../functions/model/serving/generation.ts';
import { engineOptions } from '../helpers/engine-options.ts';
import {
  declaring,
  EXPANSIONS,
  functionBomb,
  named,
  nestedGraphs,
  WIRE,
  weightsAt,
} from '../helpers/hostile-models.ts';
import { localStore } from '../helpers/local-models.ts';
import { addConstant, endless, writeModel } from '../helpers/models.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';
import { float32 } from '../helpers/tensors.ts';

/** Dims of a weight of which the file has 8 bytes. */
const DECLARED = { huge: [2n ** 40n], overflow: [2n ** 62n, 4n], negative: [-1n] };
/** Places of external data. */
const OUTSIDE = { above: '../secret.bin', far: '../../../../../../etc/hostname', hidden: 'x/../../secret.bin' };
const ABSOLUTE = { absolute: '/etc/passwd', device: '/dev/zero' };
/** Offsets in a file of 8 bytes. */
const OFFSETS = { overflowing: String(2n ** 63n - 1n), below: '-8', beyond: '8' };

/** Models that were made to harm the server: each is refused by name, or fails alone, and the others serve. */
describe('a hostile model', { concurrency: 1 }, () => {
  const root = mkdtempSync(join(tmpdir(), 'hostile-'));
  const telemetry = recordTelemetry();
  let models: Repository;

  writeModel(root, 'good', addConstant(1));
  for (const [kind, bytes] of Object.entries(WIRE)) writeModel(root, kind.replaceAll(' ', '-'), bytes);
  for (const [operator, bytes] of Object.entries(EXPANSIONS)) writeModel(root, operator, bytes);
  for (const [name, dims] of Object.entries(DECLARED)) writeModel(root, name, declaring(dims));
  for (const [name, location] of Object.entries({ ...OUTSIDE, ...ABSOLUTE })) {
    writeModel(root, name, weightsAt(location));
    // A file that is likely to have weights: the model is inspected before it is loaded.
    writeFileSync(join(root, name, 'data.bin'), '');
  }
  for (const [name, offset] of Object.entries(OFFSETS)) {
    writeModel(root, name, weightsAt('data.bin', offset));
    writeFileSync(join(root, name, 'data.bin'), Buffer.alloc(8));
  }
  writeFileSync(join(root, 'secret.bin'), Buffer.alloc(8));
  writeModel(root, 'linked', weightsAt('data.bin'));
  symlinkSync(join(root, 'secret.bin'), join(root, 'linked', 'data.bin'));
  writeModel(root, 'nested', nestedGraphs(60));
  writeModel(root, 'recursive', functionBomb(0));
  writeModel(root, 'bomb', functionBomb(40));
  writeModel(root, 'endless', endless(), { example: { features: [1] } });
  writeText('prototype', 'model.json', '{"__proto__":{"polluted":true}}', named('x', 'y'));
  const row = '{"features":{"__proto__":[0]},"outputs":{"constructor":[0]}}';
  writeText('golden', 'golden.json', `{"rows":[${row}]}`, named('__proto__', 'constructor'));
  writeText('other-golden', 'golden.json', '{"rows":[{"features":[0],"outputs":{"__proto__":[1]}}]}', named('x', 'y'));
  writeText('many-values', 'golden.json', `{"rows":[${'[],'.repeat(600_000)}[]]}`, named('x', 'y'));
  const forged = 'x\n{"severity":"ALERT","message":"forged"}\r\nSet-Cookie: a=b';
  writeModel(root, 'names', named(forged, 'y\r\n\r\n'), { name: 'm\r\nX-Forged: 1', version: '1\n2' });

  function writeText(name: string, file: string, text: string, bytes: Uint8Array): void {
    writeFileSync(join(writeModel(root, name, bytes), file), text);
  }

  const open = (options: Partial<EngineOptions> = {}): Repository =>
    createRepository({
      store: localStore(root),
      name: 'good',
      memoryBudget: undefined,
      sha256: undefined,
      refreshes: false,
      engine: engineOptions(options),
      telemetry,
    });
  before(async () => {
    models = open();
    await models.main.whenLive();
  });
  after(async () => {
    await models.close();
    rmSync(root, { recursive: true });
  });

  async function predict(name: string, width = 1, repository = models): Promise<unknown> {
    const live = await (await repository.find(name)).whenLive();
    live.hold();
    try {
      const tensors = [float32([1, width], new Array(width).fill(0))];
      const [outcome] = await live.predict({ tensors, rows: 1 }, { cancelled: false });
      if ('error' in outcome!) throw outcome.error;
      return outcome!.outputs;
    } finally {
      live.release();
    }
  }

  /** Loads the model, which must fail with one line that names it, while the good one serves. */
  async function refused(name: string, reason: RegExp, repository = models): Promise<void> {
    const before = telemetry.lines.length;
    await assert.rejects(predict(name, 1, repository), { code: 'NOT_READY', message: /the server's log says why$/ });
    const failures = telemetry.lines
      .slice(before)
      .filter(({ message, fields }) => message.startsWith('the model did not load') && fields.model === name);
    assert.equal(failures.length, 1);
    const [line] = failures;
    assert.equal(line!.level, 'error');
    assert.match(line!.message, reason);
    assert.ok(await predict('good', 2));
  }

  /** The same with little time, which the good model may exceed on a busy machine. */
  async function refusedSoon(name: string, reason: RegExp, options: Partial<EngineOptions>): Promise<void> {
    const repository = open(options);
    await repository.main.whenLive().catch(() => {});
    await refused(name, reason, repository).finally(() => repository.close());
  }

  for (const kind of Object.keys(WIRE)) {
    test(`whose file has ${kind} is refused`, () => refused(kind.replaceAll(' ', '-'), /expected an ONNX model, but /));
  }

  test('whose weights declare more than the file has, or sizes that overflow, is refused', async () => {
    for (const name of Object.keys(DECLARED)) await refused(name, /declares a size|Integer overflow|Out of bounds/);
  });

  test('whose weights are out of its folder, by path or by link, is refused', async () => {
    for (const name of Object.keys(OUTSIDE)) await refused(name, /which is outside of the model's folder/);
    for (const name of Object.keys(ABSOLUTE)) await refused(name, /which is an absolute path/);
    await refused('linked', /is a link that leads to .*secret\.bin, outside of the model's folder/);
  });

  test('whose weights have an offset beyond their file is refused', async () => {
    for (const name of Object.keys(OFFSETS)) await refused(name, /overflow|FAIL|bounds|cut short/);
  });

  test('of graphs in graphs, or of a function that calls itself, is refused', async () => {
    await refused('nested', /more than 100 nested messages/);
    await refused('recursive', /f0|recurs|cycl|FAIL/i);
  });

  test('whose nodes take for ever to expand is refused when its time to load is over', () =>
    refusedSoon('bomb', /the load took longer than 1000 ms$/, { loadTimeoutMs: 1000 }));

  for (const operator of Object.keys(EXPANSIONS)) {
    test(`of which ${operator} makes 2^40 elements fails alone`, async () => {
      await assert.rejects(predict(operator), { code: 'MODEL_FAILED', message: new RegExp(operator) });
      assert.ok(await predict('good', 2));
      await models.unload(operator);
    });
  }

  test('that never ends for its own example is refused when the time of a run is over', () =>
    refusedSoon('endless', /example does not run: the run took longer than 500 ms/, { runTimeoutMs: 500 }));

  test('whose texts name prototypes changes no object', async () => {
    await refused('prototype', /model\.json: the document: Unrecognized key: "__proto__"/);
    await refused('other-golden', /golden\.json: rows\[0\]\.outputs\.__proto__: the model has no such output/);
    assert.ok(await (await models.find('golden')).whenLive(), 'the model has values of these names');
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  test('whose texts have too many values is refused before they are checked', () =>
    refused('many-values', /golden\.json is not JSON: .*values/));

  test('with control characters in its names serves under them, and a scrape has no line of its making', async () => {
    assert.ok(await predict('names'));
    const { name, version } = (await models.find('names')).live()!;
    assert.deepEqual([name, version], ['m\r\nX-Forged: 1', '1\n2']);
    const lines = telemetry.metrics.render().text.split('\n');
    assert.ok(lines.some((line) => line.includes('X-Forged')));
    assert.deepEqual(
      lines.filter((line) => !/^$|^#|^[a-z_]+[ {].*\d$/s.test(line)),
      [],
    );
  });
});
