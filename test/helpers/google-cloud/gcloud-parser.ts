import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../system/program.ts';

const PARSER = join(import.meta.dirname, 'gcloud_parser.py');
/** Programs that the lines of the documentation run beside gcloud: they do nothing here. */
const IDLE = ['curl', 'docker', 'gh', 'git', 'kubectl', 'node', 'npm', 'npx', 'pip', 'python'];

/**
 * What `gcloud`'s own parsers have against command lines and build files; without a call to anywhere.
 * @param folder for gcloud's settings
 */
export function complaints(commands: readonly string[][], builds: readonly string[], folder: string): string[] {
  const options = {
    encoding: 'utf8',
    env: { ...process.env, CLOUDSDK_CONFIG: folder, CLOUDSDK_CORE_PROJECT: 'p' },
  } as const;
  const info = JSON.parse(execFileSync('gcloud', ['info', '--format=json'], { ...options, stdio: 'pipe' }));
  const args = [PARSER, info.installation.sdk_root as string];
  const { stdout, stderr, status } = spawnSync(info.basic.python_location as string, args, {
    ...options,
    input: JSON.stringify({ commands, builds }),
  });
  if (status !== 0) throw new Error(`gcloud's parser could not be used:\n${stderr}`);
  const said = JSON.parse(stdout) as (string | null)[];
  const names = [...commands.map((words) => `gcloud ${words.join(' ')}`), ...builds];
  return said.flatMap((text, i) => (text === null ? [] : [`${names[i]}: ${text}\n${stderr}`]));
}

/**
 * The words of every `gcloud` that a shell text runs, as bash splits and quotes them: the text is run, with programs in its
 * way that note their words and do nothing else.
 */
export async function gcloudCommands(text: string, folder: string): Promise<string[][]> {
  const bin = join(folder, 'bin');
  const record = join(folder, 'record');
  mkdirSync(bin, { recursive: true });
  // What it is piped is read, or the other end breaks.
  const note = `#!/bin/bash
{ printf '%s\\x1f' "$@"; printf '\\x1e'; } >>"$RECORD"
if [ -p /dev/stdin ]; then cat >/dev/null; fi
`;
  for (const name of ['gcloud', ...IDLE]) {
    writeFileSync(join(bin, name), name === 'gcloud' ? note : '#!/bin/bash\n');
    chmodSync(join(bin, name), 0o755);
  }
  writeFileSync(record, '');
  const PATH = `${bin}:/usr/bin:/bin`;
  const { code, stderr } = await run('bash', ['-eo', 'pipefail', '-c', text], { PATH, RECORD: record });
  if (code !== 0 || stderr !== '') throw new Error(`bash ended with ${code}: ${stderr}\n${text}`);
  const commands = readFileSync(record, 'utf8').split('\x1e').slice(0, -1);
  return commands.map((line) => line.split('\x1f').slice(0, -1));
}
