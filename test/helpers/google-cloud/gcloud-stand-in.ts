/**
 * `gcloud` for scripts/cloud-build/move-traffic.sh, where there is none: it keeps a service's traffic in the JSON file STATE. With the real one the
 * system tests run the same script.
 */
import { readFileSync, writeFileSync } from 'node:fs';

export interface State {
  /** Revisions and their percents, of 100 in all. */
  traffic: Record<string, number>;
  /** The revisions and when each was created. */
  created: Record<string, string>;
  /** The tags that are left. */
  tags: string[];
  /** The statuses in the request logs, by the share that the revision has then. */
  statuses: Record<number, number[]>;
  /** The traffic that another gives the service when the request logs are read. */
  meanwhile?: Record<string, number>;
  /** The command that fails from its n-th call on. */
  fails?: { command: string; from: number };
  calls: string[];
}

function run(state: State, words: readonly string[]): string {
  const option = (name: string): string | undefined => words[words.indexOf(name) + 1];
  const command = words.slice(0, words[0] === 'logging' ? 2 : 3).join(' ');
  state.calls.push([command, words.includes('--to-revisions') ? option('--to-revisions') : ''].join(' ').trim());
  const { fails } = state;
  const times = state.calls.filter((call) => call.startsWith(command)).length;
  if (fails !== undefined && fails.command === command && times >= fails.from) throw new Error('refused');
  switch (command) {
    case 'run revisions describe':
      return state.created[words[3]!]!;
    case 'run services describe':
      return Object.entries(state.traffic)
        .map(([name, percent]) => `${percent},${name}`)
        .join('\n');
    case 'run services update-traffic':
      state.traffic = move(state.traffic, option('--to-revisions')!);
      if (words.includes('--remove-tags')) state.tags = state.tags.filter((tag) => tag !== option('--remove-tags'));
      return '';
    case 'logging read': {
      const [, revision = ''] = /revision_name=(\S+)/.exec(words[2]!) ?? [];
      const share = state.traffic[revision]!;
      if (state.meanwhile !== undefined) state.traffic = state.meanwhile;
      return (state.statuses[share] ?? []).join('\n');
    }
    default:
      throw new Error(`not a command of the script: ${words.join(' ')}`);
  }
}

/** As `--to-revisions` does: what is left of 100 is shared by the other revisions in the proportions that they have. */
function move(before: Record<string, number>, target: string): Record<string, number> {
  const given = Object.fromEntries(target.split(',').map((one) => one.split('=') as [string, string]));
  const named = Object.entries(given).map(([name, percent]): [string, number] => [name, Number(percent)]);
  const left = 100 - named.reduce((sum, [, percent]) => sum + percent, 0);
  const others = Object.entries(before).filter(([name]) => !(name in given));
  const all = others.reduce((sum, [, percent]) => sum + percent, 0);
  const scaled = others.map(([name, percent]): [string, number] => [name, (percent / all) * left]);
  return Object.fromEntries([...named, ...scaled].filter(([, percent]) => percent > 0));
}

if (import.meta.main) {
  const file = process.env.STATE!;
  const state = JSON.parse(readFileSync(file, 'utf8')) as State;
  try {
    console.log(run(state, process.argv.slice(2)));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  } finally {
    writeFileSync(file, JSON.stringify(state));
  }
}
