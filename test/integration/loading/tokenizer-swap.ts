import assert from 'node:assert/strict';
import { cpSync, globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { BUCKET, fromBucket, LONG_AGO, tempFolder, untilReady, withHost, withStorage } from '../../helpers/bucket.ts';
import { predict } from '../../helpers/calls.ts';
import type { Host } from '../../helpers/hosts.ts';
import { swappedTokenizer, THAT, THIS } from '../../helpers/swapped-tokenizer.ts';
import { BACKGROUND_MS, until } from '../../helpers/until.ts';
import { REFS } from '../../text/refs.ts';

const MODEL = 'text-classifier';
const FOLDER = join(REFS, 'models', MODEL);
const EVERY_SECOND = { MODEL_REFRESH_SECONDS: '1', INFERENCE_PROCESSES: '1' };

async function outputsOf(host: Host, text: string): Promise<string> {
  const { status, json, text: body } = await predict(host, text);
  assert.equal(status, 200, body);
  return JSON.stringify(json().outputs);
}

/** Replaces the tokenizer of a server that works, and waits until two words have changed places. */
async function expectSwap(host: Host, replace: () => void): Promise<void> {
  await untilReady(host);
  const [before, other] = [await outputsOf(host, THAT), await outputsOf(host, THIS)];
  assert.notEqual(before, other);
  replace();
  await until(async () => (await outputsOf(host, THIS)) === before, 'the new tokenizer to serve', BACKGROUND_MS);
  assert.equal(await outputsOf(host, THAT), other);
}

/** A newer tokenizer.json beside a model that has not changed. */
export function tokenizerSwaps(): void {
  describe('a newer tokenizer.json', { concurrency: 2 }, () => {
    test('in a folder becomes a new version', async () => {
      const folder = join(tempFolder(), MODEL);
      cpSync(FOLDER, folder, { recursive: true });
      await withHost({ ...EVERY_SECOND, MODEL_URI: folder }, (host) =>
        expectSwap(host, () => writeFileSync(join(folder, 'tokenizer.json'), swappedTokenizer(MODEL))),
      );
    });

    test('in a bucket becomes a new version', () =>
      withStorage(async (storage) => {
        for (const path of globSync('**/*', { cwd: FOLDER })) {
          const file = join(FOLDER, path);
          if (statSync(file).isFile()) storage.put(BUCKET, `${MODEL}/${path}`, readFileSync(file), LONG_AGO);
        }
        await withHost(fromBucket(storage, MODEL, EVERY_SECOND), (host) =>
          expectSwap(host, () => storage.put(BUCKET, `${MODEL}/tokenizer.json`, swappedTokenizer(MODEL), LONG_AGO)),
        );
      }));
  });
}
