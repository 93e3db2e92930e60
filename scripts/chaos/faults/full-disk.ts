import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type StorageServer, startStorage } from '../../../test/helpers/storage-server.ts';
import { VERSIONED } from '../../conformance/fixture.ts';
import { closedLoop } from '../clients/load.ts';
import type { Chaos, Fault } from '../fault.ts';
import { countStatuses } from '../figures.ts';
import { sameWork } from '../models.ts';
import type { Target } from '../target.ts';

const BUCKET = 'chaos';
const CONNECTIONS = 4;
const DISK_BYTES = 2 ** 20;
const BOUND_MS = 30_000;
const EVERY_MS = 100;
const ROW = '{"features":[1]}';

export const fullDisk: Fault = {
  name: 'full-disk',
  title: 'a new version of the model is uploaded, and the disk has no room for it',
  async run(chaos) {
    const disk = join(chaos.folder, 'disk');
    mkdirSync(disk);
    const unmount = (): unknown => spawnSync('umount', ['--lazy', disk]);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'chaos', disk]).status === 0;
    if (!mounted) {
      chaos.skips('predictions go on', 'no permission to mount a small disk');
      return;
    }
    process.once('exit', unmount);
    const storage = await startStorage();
    try {
      await fill(chaos, storage, disk);
    } finally {
      await storage.close();
      unmount();
      process.off('exit', unmount);
    }
  },
};

async function fill(chaos: Chaos, storage: StorageServer, disk: string): Promise<void> {
  const upload = (version: number): string => {
    const bytes = readFileSync(join(chaos.models, VERSIONED, String(version), 'model.onnx'));
    return storage.put(BUCKET, `m/${version}/model.onnx`, bytes);
  };
  upload(1);
  const refresh = { MODEL_URI: `gs://${BUCKET}/m`, MODEL_REFRESH_SECONDS: '1' };
  const target = await chaos.start({ env: { STORAGE_EMULATOR_HOST: storage.url, TMPDIR: disk, ...refresh } });
  const filler = join(disk, 'filler');
  try {
    writeFileSync(filler, Buffer.alloc(2 * DISK_BYTES));
  } catch {
    // It has as many bytes as there was room for.
  }
  const written = target.lines.length;
  const load = closedLoop({ port: target.port, connections: CONNECTIONS, make: sameWork('/predict', ROW) });
  upload(2);
  const reported = (): boolean => target.lines.slice(written).some((line) => /ENOSPC| 0 free/.test(line));
  await waitFor(reported);
  chaos.holds('the log says that there is no space', reported(), `${target.lines.length - written} lines`);
  const first = await predict(target);
  rmSync(filler);
  // A version that failed is tried again after a minute, another upload at once.
  upload(2);
  const second = await waitFor(async () => (await predict(target)) === VERSION_2);
  const samples = await load.stop();
  const isServed = samples.every(({ status }) => status === 200) && first === VERSION_1;
  chaos.holds('predictions of the old version go on', isServed, countStatuses(samples));
  chaos.holds('the next upload is served when there is room', second, await predict(target));
}

const VERSION_1 = '2';
const VERSION_2 = '3';

/** The prediction of the known row: 1 and the version. */
async function predict({ send }: Target): Promise<string> {
  const { text } = await send({ method: 'POST', path: '/predict', body: ROW });
  return /"prediction":\[?([^\],]*)/.exec(text)?.[1] ?? text;
}

/** Waits until a condition holds, within the bound. */
async function waitFor(condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const end = performance.now() + BOUND_MS;
  while (performance.now() < end) {
    if (await condition()) return true;
    await sleep(EVERY_MS);
  }
  return false;
}
