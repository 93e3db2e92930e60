import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { run } from '../system/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** The programs of npm scripts, and those that a comment or a document has people run as `node scripts/…`. */
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
// `npm run docs` installs packages below docs/, whose own pages have other programs.
const pages = globSync('docs/**/*.md', { cwd: ROOT, exclude: ['docs/node_modules/**'] });
const commands = [...Object.values(scripts), ...pages.map(read)].join('\n');
const programs = new Set(Array.from(commands.matchAll(/scripts\/[\w-]+\.ts/g), ([file]) => file));
for (const file of globSync('scripts/*.ts', { cwd: ROOT }))
  if (/readCommandLine\(|printHelp\(/.test(read(file)) && file !== 'scripts/command-line.ts') programs.add(file);

/** Their arguments are those of another program. */
const PASS_ON = new Set(['scripts/start.ts', 'scripts/unit.ts', 'scripts/emulator.ts']);

test('the programs are found', () => {
  for (const name of ['bench', 'chaos', 'conformance', 'emulator', 'sbom', 'start', 'train-iris', 'verify'])
    assert.ok(programs.has(`scripts/${name}.ts`), name);
});

describe('each program', { concurrency: availableParallelism() * 2 }, () => {
  for (const file of [...programs].sort()) {
    test(`${file} --help prints its usage, and does nothing else`, async () => {
      const { stdout, stderr, code } = await run(process.execPath, [join(ROOT, file), '--help']);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /^usage: (npm|node|onnx-cloud-run) /im);
    });
    if (PASS_ON.has(file)) continue;
    test(`${file} refuses an unknown option with one line, and exit code 2`, async () => {
      const { stdout, stderr, code } = await run(process.execPath, [join(ROOT, file), '--colour']);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr.split('\n')[0]!, /Unknown option '--colour'/);
      if (file !== 'scripts/conformance.ts') assert.equal(stderr.trimEnd().split('\n').length, 1);
    });
  }
});

test('an argument too many and one too few are refused', async () => {
  const prune = await run(process.execPath, [join(ROOT, 'scripts/prune-onnxruntime.ts'), 'a', 'b']);
  assert.deepEqual([prune.code, prune.stderr], [2, 'unexpected argument "b"; --help prints the usage\n']);
  const models = await run(process.execPath, [join(ROOT, 'scripts/bench-models.ts')]);
  assert.deepEqual([models.code, models.stderr], [2, 'expected 1 argument, got 0; --help prints the usage\n']);
});
