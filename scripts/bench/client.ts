import { spawn } from 'node:child_process';
import { join } from 'node:path';

type Client = 'load' | 'drain' | 'stream' | 'baselines/run-loop';

/** Longest duration of a client, far above the bounds of the clients themselves. */
const BOUND_MS = 300_000;

/**
 * Runs one of the folder's clients in a process of its own, and returns the JSON that it prints.
 * @throws Error with its stderr if it prints none.
 */
export async function runClient<Result>(
  client: Client,
  args: Readonly<Record<string, string | number>>,
): Promise<Result> {
  const argv = Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [join(import.meta.dirname, `${client}.ts`), ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: BOUND_MS,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  try {
    return JSON.parse(stdout) as Result;
  } catch {
    throw new Error(`${client} ended with ${code} and no result: ${stderr.trim().slice(-1000)}`);
  }
}
