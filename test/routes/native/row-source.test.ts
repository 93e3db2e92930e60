import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyBudget } from '../../../functions/http/body/body-budget.ts';
import type { PieceReader } from '../../../functions/http/body/pieces.ts';
import { createRowDecoder, type RowFeeds } from '../../../functions/model/folder/rows.ts';
import type { BodyReader, Owner } from '../../../functions/routes/body-reader.ts';
import { readInstances, readLines, type SourceRow } from '../../../functions/routes/native/row-source.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';

const rows = createRowDecoder(
  { inputs: [{ name: 'x', dtype: 'float32', shape: [-1, -1] }], outputs: [] },
  undefined,
  true,
);
const live = { rows };

function readerOf(...texts: string[]): PieceReader {
  const pieces = texts.map((text) => Buffer.from(text));
  return { next: async () => pieces.shift(), stop() {} };
}

/** Lines, read with a parser that tells which of them it was given. */
function lines(reader: PieceReader, limit = 1_000_000) {
  const budget = new BodyBudget(10_000_000);
  const aside: number[] = [];
  const released: number[] = [];
  const parser: Pick<BodyReader, 'readFeeds'> = {
    async readFeeds(bytes, _form, owner) {
      aside.push(bytes.length);
      owner.releaseResult = () => released.push(bytes.length);
      return rows.decode((readJson(bytes) as { features: never }).features, 'features');
    },
  };
  let pieces = 0;
  const onPiece = (): void => {
    pieces++;
  };
  const source = readLines(reader, { limit, parser, owner: {} as Owner, onPiece, budget });
  return { source, budget, aside, released, pieces: () => pieces };
}

const valuesOf = async (row: SourceRow): Promise<unknown[]> => {
  const feeds: RowFeeds = await row.read(live);
  return [...feeds.tensors[0]!.data];
};

test('each line is a row that holds its bytes', async () => {
  const { source, budget, pieces } = lines(
    readerOf('{"features":[1]}\n{"feat', 'ures":[2,3]}\n\n', '{"features":[4]}'),
  );
  const read: unknown[] = [];
  let bytes = 0;
  for await (const group of source) {
    for (const row of group) {
      read.push(await valuesOf(row));
      bytes += row.bytes;
    }
  }
  assert.deepEqual([read, pieces()], [[[1], [2, 3], [4]], 3]);
  assert.deepEqual([bytes, budget.used], [16 + 18 + 16, 16 + 18 + 16]);
});

test('a long line is read in a thread, a short one is not', async () => {
  const long = `{"features":[${'1,'.repeat(40_000)}1]}`;
  const { source, aside } = lines(readerOf(`{"features":[1]}\n${long}\n`));
  const lengths: number[] = [];
  for await (const group of source) for (const row of group) lengths.push((await valuesOf(row)).length);
  assert.deepEqual([lengths, aside], [[1, 40_001], [long.length]]);
});

test('what was read of a long line is released with its own row, and not with another', async () => {
  const texts = [50_000, 60_000].map((count) => `{"features":[${'1,'.repeat(count)}1]}\n`);
  const { source, released } = lines(readerOf(texts.join('')));
  const all: SourceRow[] = [];
  for await (const group of source) {
    for (const row of group) {
      await row.read(live);
      all.push(row);
    }
  }
  assert.deepEqual(released, []);
  all[1]!.release!();
  assert.deepEqual(released, [texts[1]!.length - 1]);
});

test('a line that is refused holds nothing, and is refused when it is read', async () => {
  const { source, budget } = lines(readerOf('{"features":[1,2,3,4]}\n'), 10);
  for await (const group of source) {
    for (const row of group) {
      assert.equal(row.bytes, 0);
      assert.throws(() => row.read(live), { code: 'TOO_LARGE' });
    }
  }
  assert.equal(budget.used, 0);
});

test('who stops in the middle of a line leaves nothing taken', async () => {
  const { source, budget } = lines(readerOf('{"features":[1]}\n{"features":[1,2,', '3]}\n'));
  for await (const group of source) {
    for (const row of group) budget.release(row.bytes);
    break;
  }
  assert.equal(budget.used, 0);
});

test('the rows of a JSON body hold nothing of their own: its body does', async () => {
  for (const body of ['[{"features":[1]},{"features":[2]}]', '{"instances":[[1],[2]]}']) {
    const read: unknown[] = [];
    for (const group of readInstances(readJson(Buffer.from(body)))) {
      for (const row of group) read.push([row.bytes, await valuesOf(row)]);
    }
    assert.deepEqual(read, [
      [0, [1]],
      [0, [2]],
    ]);
  }
});
