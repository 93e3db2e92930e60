import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';
import { isAlive, processTree } from '../../scripts/process-tree.ts';
import { ROOT, run } from './program.ts';

const CLI = join(ROOT, 'dist/cli.js');
const IRIS = join(ROOT, 'models/iris');
let folder: string;

before(() => {
  buildIfNeeded();
  folder = mkdtempSync(join(tmpdir(), 'cli-tune-'));
  cpSync(join(ROOT, 'service.yaml'), join(folder, 'service.yaml'));
  cpSync(join(ROOT, 'k8s/base'), join(folder, 'k8s/base'), { recursive: true });
});
after(() => rmSync(folder, { recursive: true }));

test('tune measures the defaults and other settings, and writes those that it chooses into the files of a project', async () => {
  const { code, stdout, stderr } = await run(process.execPath, [
    ...[CLI, 'tune', IRIS, '--budget', '6s', '--write', folder, '--json'],
  ]);
  assert.deepEqual([code, stderr], [0, '']);
  const { chosen, defaults, points } = JSON.parse(stdout);
  assert.ok(points.length >= 2 && defaults.samples >= 2 && defaults.rate > 0);
  assert.ok(chosen.dollarsPerMillion.cloudRunInstances <= defaults.dollarsPerMillion.cloudRunInstances * 1.03);
  const { spec } = parse(readFileSync(join(folder, 'service.yaml'), 'utf8')).spec.template;
  const { env, resources } = spec.containers[0];
  const values = Object.fromEntries(env.map(({ name, value }: { name: string; value: string }) => [name, value]));
  assert.equal(spec.containerConcurrency, chosen.concurrency);
  assert.equal(values.INFERENCE_PROCESSES, String(chosen.processes));
  assert.equal(values.WEIGHTS, chosen.weights);
  assert.equal(resources.limits.memory, `${chosen.instanceBytes / 2 ** 20}Mi`);
});

test('Ctrl-C ends the load and its server: a line, exit code 130, and nothing is written', async () => {
  const service = join(folder, 'interrupted/service.yaml');
  mkdirSync(join(folder, 'interrupted'));
  cpSync(join(ROOT, 'service.yaml'), service);
  const child = spawn(process.execPath, [CLI, 'tune', IRIS, '--budget', '1m', '--write', join(folder, 'interrupted')]);
  let stderr = '';
  let tree: number[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    // The first load has ended: a server runs.
    if (tree.length > 0 || !stderr.includes('concurrency: ')) return;
    tree = processTree(child.pid!);
    child.kill('SIGINT');
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 130, stderr);
  assert.match(stderr, /\nonnx-cloud-run: interrupted\n$/);
  assert.ok(tree.length > 2);
  assert.deepEqual(tree.filter(isAlive), []);
  assert.equal(readFileSync(service, 'utf8'), readFileSync(join(ROOT, 'service.yaml'), 'utf8'));
});

test('what is no model, no price list or no project is one line, before anything is measured', async () => {
  const cases: [args: string[], line: RegExp, code: number][] = [
    [[], /missing required argument 'model'/, 2],
    [['nowhere.onnx'], /nowhere\.onnx: no such file or folder/, 1],
    [[IRIS, '--budget', 'soon'], /It takes a time from 5s to 24h, such as 90s, 5m or 1h\./, 2],
    [[IRIS, '--bill', 'vertex'], /Allowed choices are cloudRunRequests, /, 2],
    [[IRIS, '--prices', IRIS], /expected a file, and it is a folder/, 1],
    [[IRIS, '--prices', join(IRIS, 'model.json')], /model\.json: prices: /, 1],
    [[IRIS, '--write', IRIS], /expected a service\.yaml or a folder k8s in it/, 1],
  ];
  for (const [args, line, code] of cases) {
    const { stdout, stderr, code: got } = await run(process.execPath, [CLI, 'tune', ...args]);
    assert.deepEqual([got, stdout], [code, ''], stderr);
    assert.match(stderr, line);
    assert.match(stderr, /^onnx-cloud-run: [^\n]+\n$/);
  }
});
