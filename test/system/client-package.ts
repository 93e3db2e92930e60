import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ROOT, run } from './program.ts';

/** The client's package, packed, and installed alone in a folder. */
export interface InstalledClient {
  /** The archive that npm publishes. */
  readonly archive: string;
  /** The folder of the installed package. */
  readonly installed: string;
}

/** Packs the client, and installs it in an empty folder, without a registry. */
export async function installClient(folder: string): Promise<InstalledClient> {
  const packs = join(folder, 'packs');
  mkdirSync(packs);
  await npm(['pack', '--silent', '--pack-destination', packs, join(ROOT, 'clients/typescript')], folder);
  const archive = join(packs, readdirSync(packs)[0]!);
  writeFileSync(join(folder, 'package.json'), '{"type":"module","private":true}');
  await npm(['install', '--offline', '--no-audit', '--no-fund', archive], folder);
  return { archive, installed: join(folder, 'node_modules/onnx-cloud-run-client') };
}

async function npm(args: readonly string[], folder: string): Promise<string> {
  const { code, stdout, stderr } = await run(
    'bash',
    ['-c', 'cd "$0" && exec npm "$@"', folder, ...args],
    registry(),
    120_000,
  );
  assert.equal(code, 0, `npm ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout.trim();
}

/** Where packages come from is the machine's business. */
function registry(): Record<string, string> {
  const names = /^(npm_config_registry|.*_proxy|NODE_EXTRA_CA_CERTS)$/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => names.test(name))) as Record<string, string>;
}

const NODE_20 = '20.20.2';

/** The program of Node 20: that of PATH, else of npm's package with nothing but the program, which npm keeps in its cache. */
export async function findNode20(): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const program = join(folder, 'node');
    if (!existsSync(program)) continue;
    if (/^v20\./.test(spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout)) return program;
  }
  const name = `node-${process.platform}-${process.arch}@${NODE_20}`;
  return npm(['exec', '--yes', `--package=${name}`, '--', 'node', '-p', 'process.execPath'], ROOT);
}
