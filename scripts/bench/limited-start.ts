import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { requestBytes } from '../../functions/cli/loadtest/http/request.ts';
import { startStorage } from '../../test/helpers/storage-server.ts';
import { type ContestantSpec, startContestant } from './contestant.ts';
import { COLUMNS } from './matrix-model.ts';
import { makeMemoryGroup } from './memory-group.ts';

const BUCKET = 'bench-bucket';
/** A file system in memory, as Cloud Run's is. */
const MEMORY_FOLDER = '/dev/shm';

/**
 * Serves the model of `path` from a bucket, in a control group with a memory limit, as on Cloud Run: fetched files are in memory, and
 * are part of the limit.
 * @returns the most memory that it took, in bytes; undefined if this user may not make control groups
 * @throws Error if it does not answer
 */
export async function startLimited(
  spec: ContestantSpec,
  path: string,
  limitBytes: number,
): Promise<number | undefined> {
  const group = makeMemoryGroup(limitBytes);
  if (group === undefined) return undefined;
  const folder = mkdtempSync(join(MEMORY_FOLDER, 'bench-'));
  const storage = await startStorage();
  try {
    storage.put(BUCKET, 'matrices/model.onnx', readFileSync(path));
    const env = {
      ...spec.env,
      STORAGE_EMULATOR_HOST: storage.url,
      MODEL_URI: `gs://${BUCKET}/matrices`,
      K_SERVICE: 'bench',
      HOST: '127.0.0.1',
      TMPDIR: folder,
    };
    const features = new Array(COLUMNS).fill(0.5);
    const request = requestBytes('POST', '/predict', JSON.stringify({ features }));
    const server = await startContestant(group.inside({ ...spec, env }), request);
    const peak = group.peakBytes();
    await server.stop();
    return peak;
  } finally {
    await storage.close();
    rmSync(folder, { recursive: true, force: true });
    group.remove();
  }
}
