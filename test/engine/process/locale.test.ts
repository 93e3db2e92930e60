import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { withLocale } from '../../../functions/engine/process/locale.ts';
import { openSession } from '../../../functions/engine/process/session.ts';
import { stringNormalizer } from '../../helpers/exported-models.ts';
import { writeModel } from '../../helpers/models.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'locale-test-'));
after(() => rmSync(folder, { recursive: true }));

const given = process.env.TMPDIR;
beforeEach(() => {
  process.env.TMPDIR = mkdtempSync(join(folder, 'tmp-'));
});
afterEach(() => {
  if (given === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = given;
});

const LACKS = 'Failed to construct locale with name:en_US.UTF-8:locale::facet::_S_create_c_locale name not valid';
const options = { intraOpThreads: 1, executionProviders: ['cpu'] };

/** Fails without a locale as onnxruntime does, and notes what LOCPATH is at each call. */
function loader(): { load: () => Promise<string>; seen: (string | undefined)[] } {
  const seen: (string | undefined)[] = [];
  async function load(): Promise<string> {
    seen.push(process.env.LOCPATH);
    if (seen.length === 1) throw new Error(LACKS);
    return readdirSync(join(process.env.LOCPATH!.split(':')[0]!, 'en_US.UTF-8')).join();
  }
  return { load, seen };
}

test("scikit-learn's text models load and lower the case of any script's letters, with the locale or without", async () => {
  const path = join(writeModel(folder, 'lower', stringNormalizer()), 'model.onnx');
  assert.equal(
    (await openSession(join(writeModel(folder, 'short', stringNormalizer('en_US')), 'model.onnx'), options)).signature
      .inputs.length,
    1,
  );
  const session = await openSession(path, options);
  const [output] = await session.run([{ slot: 0, dtype: 'string', dims: [1], data: ['ÅSE Жизнь ΣΊΣΥΦΟΣ ab'] }]);
  assert.deepEqual(output!.data, ['åse жизнь σίσυφοσ ab']);
  assert.deepEqual([process.env.LOCPATH, readdirSync(process.env.TMPDIR!)], [undefined, []]);
});

test('if the locale is missing, C.UTF-8 replaces it until the model is loaded', async () => {
  const { load, seen } = loader();
  assert.match(await withLocale(load), /LC_CTYPE/);
  assert.equal(seen[0], undefined);
  assert.match(seen[1]!, /locale-/);
  assert.deepEqual([process.env.LOCPATH, readdirSync(process.env.TMPDIR!)], [undefined, []]);
});

test("an operator's LOCPATH is kept, after the folder that is made", async (t) => {
  process.env.LOCPATH = '/srv/locales';
  t.after(() => delete process.env.LOCPATH);
  const { load, seen } = loader();
  await withLocale(load);
  assert.match(seen[1]!, /locale-[^/:]+:\/srv\/locales$/);
  assert.equal(process.env.LOCPATH, '/srv/locales');
});

test('if no folder can be made among temporary files, it is made in shared memory', async () => {
  process.env.TMPDIR = join(folder, 'nowhere');
  const { load, seen } = loader();
  await withLocale(load);
  assert.match(seen[1]!, /^\/dev\/shm\/locale-/);
});

test('any other failure, and another locale, are passed on', async () => {
  for (const text of ['out of memory', LACKS.replace('en_US', 'tr_TR')]) {
    let calls = 0;
    const fail = async (): Promise<never> => {
      calls++;
      throw new Error(text);
    };
    await assert.rejects(withLocale(fail), { message: text });
    assert.equal(calls, 1);
  }
  const path = join(writeModel(folder, 'turkish', stringNormalizer('xx_XX.UTF-8')), 'model.onnx');
  await assert.rejects(openSession(path, options), {
    message:
      /^its StringNormalizer needs the locale xx_XX\.UTF-8, which this system does not have: install it, or make it with/,
  });
});
