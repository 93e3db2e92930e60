import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findLocalModel } from '../../../functions/cli/samples/local-model.ts';
import { prepare } from '../../../functions/cli/tune/rows.ts';
import { fixedBatch, identity, manyInputs, rowsSeeEachOther, writeModel } from '../../helpers/models.ts';

const folder = mkdtempSync(join(tmpdir(), 'tune-rows-'));
after(() => rmSync(folder, { recursive: true }));

async function prepared(path: string, rows?: string) {
  const made = await prepare(await findLocalModel(path), rows, new AbortController().signal);
  const bodies = made.requests.map((request) => JSON.parse(request.toString().split('\r\n\r\n')[1]!));
  return { ...made, bodies };
}

test('the rows are those of a file, else the golden rows, else the example, else made up by the inputs of the model', async () => {
  const golden = { rows: [{ features: [1, 2, 3, 4], outputs: { y: [1, 2, 3, 4] } }] };
  const path = writeModel(folder, 'all', identity(), { example: { features: [5, 6, 7, 8] } }, golden);
  const rows = join(folder, 'rows.csv');
  writeFileSync(rows, '9,9,9,9\n8,8,8,8\n');
  assert.deepEqual((await prepared(path, rows)).bodies, [{ features: [9, 9, 9, 9] }, { features: [8, 8, 8, 8] }]);
  const own = await prepared(path);
  assert.deepEqual([own.bodies, own.from], [[{ features: [1, 2, 3, 4] }], 'golden.json']);
  const example = writeModel(folder, 'example', identity(), { example: { features: [5, 6, 7, 8] } });
  assert.deepEqual((await prepared(example)).bodies, [{ features: [5, 6, 7, 8] }]);
  const table = await prepared(writeModel(folder, 'table', manyInputs()));
  assert.equal(table.from, 'made-up values');
  assert.deepEqual(Object.keys(table.bodies[0].features), ['age', 'city']);
  const fixed = await prepared(writeModel(folder, 'fixed', fixedBatch()));
  assert.ok(Array.isArray(fixed.bodies[0].features));
});

test('batch size and delay are not tried for a model whose rows are not joined', async () => {
  assert.equal((await prepared(writeModel(folder, 'mixed', rowsSeeEachOther()))).facts.joinsRows, false);
  assert.equal((await prepared(writeModel(folder, 'apart', identity(), { batching: false }))).facts.joinsRows, false);
  assert.equal((await prepared(writeModel(folder, 'joined', identity()))).facts.joinsRows, true);
});
