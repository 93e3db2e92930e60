import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { freePort } from '../../server-process.ts';
import { firstAnswer } from '../first-answer.ts';
import { type Bar, judge, ratios, spread, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import type { Workload } from '../workload.ts';

const NAME = 'image';
const IMAGE = 'onnx-cloud-run-bench:latest';
const EMPTY = "node -e ''";
const OVER_NODE: Bar = { want: 'at most', limit: 3, unit: 'x', of: `time / ${EMPTY}` };
/** The options of docs/deploy/docker.md for production. */
const HARDENED = ['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
const QUOTA = ['--memory', '512m', '--cpus', '1'];
const ANSWER_BOUND_MS = 30_000;

const docker = (...args: string[]): string => execFileSync('docker', args, { encoding: 'utf8', stdio: 'pipe' }).trim();

/** Builds the image. @returns why it could not be built; undefined if it was. */
function build(): string | undefined {
  try {
    docker('info');
    const root = join(import.meta.dirname, '../../..');
    docker('build', '--network=host', '-f', join(root, 'Dockerfile.ml'), '-t', IMAGE, root);
    return undefined;
  } catch {
    return 'docker does not build Dockerfile.ml here';
  }
}

/** Milliseconds from `docker run` to the first 200 of /predict. */
async function timeToAnswer(request: Buffer): Promise<number> {
  const port = await freePort();
  const started = performance.now();
  const id = docker('run', '-d', '-p', `127.0.0.1:${port}:8080`, ...HARDENED, ...QUOTA, IMAGE);
  try {
    return (await firstAnswer(port, request, AbortSignal.timeout(ANSWER_BOUND_MS))) - started;
  } finally {
    docker('rm', '-f', id);
  }
}

function timeOfEmpty(): number {
  const started = performance.now();
  docker('run', '--rm', ...HARDENED, ...QUOTA, IMAGE, '-e', '');
  return performance.now() - started;
}

export const image: Workload = {
  name: NAME,
  title: 'the image: from docker run to the first answered prediction, iris',
  bars: [OVER_NODE],
  async run(bench) {
    const why = build();
    if (why !== undefined) return [unmeasured(NAME, OVER_NODE, why)];
    const own: number[] = [];
    const empty: number[] = [];
    const starts = bench.quick ? 3 : Math.max(7, bench.rounds);
    for (let i = -1; i < starts; i += 1) {
      const [none, answer] = [timeOfEmpty(), await timeToAnswer(bench.inputs.models.iris.request)];
      if (i < 0) continue;
      empty.push(none);
      own.push(answer);
    }
    const rows = [
      ['first prediction', own],
      [EMPTY, empty],
    ].map(([name, ms]) => {
      const { median, min, max } = spread(ms as number[]);
      return [name as string, figure(median), figure(min), figure(max)];
    });
    console.log(table(['docker run', 'median ms', 'least', 'most'], rows));
    return [judge(NAME, OVER_NODE, ratios(own, empty))];
  },
};
