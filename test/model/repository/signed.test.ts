import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createStore } from '../../../functions/model/fetch/store.ts';
import { createRepository } from '../../../functions/model/repository/repository.ts';
import { signFolder } from '../../../scripts/sign-model/sign.ts';
import { engineOptions } from '../../helpers/engine-options.ts';
import { addConstant, writeModel } from '../../helpers/models.ts';
import { signingKey } from '../../helpers/signing-keys.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

const ENGINE = engineOptions();

test('an unsigned new version changes nothing and is logged; once it is signed it serves', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'signed-'));
  const { privateKey, pem } = signingKey('p256');
  await signFolder(writeModel(folder, 'a/1', addConstant(1)), privateKey);
  const signature = { publicKeys: pem, modelName: undefined };
  const events = { onRetry: () => {}, onCache: () => {} };
  const telemetry = recordTelemetry();
  const models = createRepository({
    store: createStore({ uri: folder, cache: undefined, filesAreMemory: false, signature }, events),
    name: 'a',
    memoryBudget: undefined,
    sha256: undefined,
    refreshes: true,
    engine: ENGINE,
    telemetry,
  });
  t.after(async () => {
    await models.close();
    rmSync(folder, { recursive: true });
  });
  assert.equal((await models.main.whenLive()).version, '1');
  const second = writeModel(folder, 'a/2', addConstant(2));
  await models.refresh();
  assert.equal(models.main.live()!.version, '1');
  assert.equal(models.main.status().refused, "it failed while it was fetched: the server's log says why");
  const { level, message } = telemetry.lines.at(-1)!;
  assert.equal(level, 'error');
  assert.match(message, /the previous version keeps serving: .*a\/2\/model\.onnx: it is not signed/);
  await signFolder(second, privateKey);
  await models.refresh();
  assert.equal(models.main.live()!.version, '2');
});
