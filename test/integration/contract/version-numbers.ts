import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { call, type Json, linesOf, post } from '../../helpers/calls.ts';
import { type HostKind, useHost } from '../../helpers/hosts.ts';
import { addConstant, writeModel } from '../../helpers/models.ts';
import { infer } from '../../helpers/open-inference.ts';

/** Versions are numbers: their folders may have leading zeros, as TensorFlow writes them, and so may what a caller asks for. */
export function versionNumbers(kind: HostKind): void {
  describe('version numbers', { concurrency: 1 }, () => {
    const models = mkdtempSync(join(tmpdir(), 'version-numbers-'));
    after(() => rmSync(models, { recursive: true }));
    writeModel(models, 'm/00000123', addConstant(123));
    writeModel(models, 'm/0009', addConstant(9));
    const host = useHost(kind, () => ({ MODEL_URI: models, MODEL_NAME: 'm', INFERENCE_PROCESSES: '1' }));
    const read = async (path: string): Promise<Json> => (await call(host(), path)).json();
    const tensor = { name: 'x', datatype: 'FP32', shape: [1, 2], data: '[0,0]' };

    test('are listed without their zeros, the highest first, in every dialect', async () => {
      const versions = (await read('/models')).models[0].versions.map(({ version }: Json) => version);
      assert.deepEqual(versions, ['123', '9']);
      assert.deepEqual((await read('/v2/models/m')).versions, ['123', '9']);
      assert.deepEqual(
        (await read('/v1/models/m')).model_version_status.map(({ version }: Json) => version),
        ['123', '9'],
      );
      const index = (await post(host(), '/v2/repository/index', '')).json();
      assert.deepEqual(
        index.map(({ version }: Json) => version),
        ['123', '9'],
      );
      assert.equal((await read('/ready')).model.version, '123');
    });

    for (const [version, written] of [
      ['123', ['123', '00000123', '0123']],
      ['9', ['9', '0009', '09']],
    ] as const) {
      for (const as of written) {
        test(`version ${version} is found as ${as}, in every dialect`, async () => {
          const y = Number(version);
          const native = (await post(host(), `/models/m/versions/${as}/predict`, { features: [0, 0] })).json();
          assert.deepEqual([native.prediction, native.model.version], [[y, y], version]);
          const lines = linesOf(await post(host(), `/models/m/versions/${as}/batch_predict`, { instances: [[0, 0]] }));
          assert.deepEqual(lines[0].prediction, [y, y]);
          assert.equal((await read(`/models/m/versions/${as}`)).version, version);
          const { json } = await infer(host(), `m/versions/${as}`, [tensor]);
          assert.deepEqual([json.model_version, json.outputs[0].data], [version, [y, y]]);
          for (const route of ['', '/ready', '/config']) {
            assert.equal((await call(host(), `/v2/models/m/versions/${as}${route}`)).status, 200, route);
          }
          const { model_stats } = await read(`/v2/models/m/versions/${as}/stats`);
          assert.deepEqual(
            model_stats.map((one: Json) => one.version),
            [version],
          );
          const rows = await post(host(), `/v1/models/m/versions/${as}:predict`, { instances: [[0, 0]] });
          assert.deepEqual(rows.json(), { predictions: [[y, y]] });
          assert.equal((await read(`/v1/models/m/versions/${as}`)).model_version_status[0].version, version);
          assert.equal((await read(`/v1/models/m/versions/${as}/metadata`)).model_spec.version, version);
        });
      }
    }

    test('that are not there are not found', async () => {
      for (const path of ['/models/m/versions/1230', '/v2/models/m/versions/12', '/v1/models/m/versions/123.0']) {
        assert.equal((await call(host(), path)).status, 404, path);
      }
    });
  });
}
