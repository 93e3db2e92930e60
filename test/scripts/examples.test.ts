import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { blocks, readPage } from '../helpers/readme.ts';

const ROOT = join(import.meta.dirname, '../..');
const EXAMPLES = globSync('examples/*/export.py', { cwd: ROOT })
  .map((path) => path.split(/[/\\]/)[1]!)
  .sort();
const text = (...path: string[]): string => readFileSync(join(ROOT, 'examples', ...path), 'utf8');

test('the examples are of scikit-learn, PyTorch, XGBoost and sentence-transformers', () => {
  assert.deepEqual(EXAMPLES, [
    'bucket-versions',
    'churn',
    'digits',
    'image-classifier',
    'invoices',
    'sentence-embeddings',
  ]);
  for (const [name, library] of [
    ['churn', 'from skl2onnx import to_onnx'],
    ['invoices', 'from skl2onnx import to_onnx'],
    ['digits', 'torch.onnx.export('],
    ['image-classifier', 'torch.onnx.export('],
    ['sentence-embeddings', 'SentenceTransformer(NAME, backend="onnx"'],
    ['bucket-versions', 'from onnxmltools.convert import convert_xgboost'],
  ] as const)
    assert.ok(text(name, 'export.py').includes(library), name);
});

describe('the models of the examples', () => {
  const folder = mkdtempSync(join(tmpdir(), 'examples-'));
  let printed: string;
  before(() => {
    printed = execFileSync(process.execPath, [join(ROOT, 'scripts/examples.ts'), folder], { encoding: 'utf8' });
  });
  after(() => rmSync(folder, { recursive: true }));

  test('made again, they and their data have the committed bytes, and no file of them is missing', () => {
    const made = globSync('**/*.*', { cwd: folder }).sort();
    const committed = globSync('*/**/*.{onnx,json,jsonl,csv,png}', { cwd: join(ROOT, 'examples') }).sort();
    assert.deepEqual(made, committed);
    assert.equal(made.filter((path) => path.endsWith('model.onnx')).length, 6);
    for (const path of made)
      assert.ok(readFileSync(join(folder, path)).equals(readFileSync(join(ROOT, 'examples', path))), path);
  });

  test('they have learned something: more than by chance, and the second version more than the first', () => {
    const [, churn] = /^churn: accuracy (\S+) /m.exec(printed)!;
    const [, digits] = /^digits: accuracy (\S+) /m.exec(printed)!;
    const [, pictures] = /^image-classifier: accuracy (\S+) /m.exec(printed)!;
    const [, first, second] = /^rentals: mean absolute error of version 1 (\S+), of version 2 (\S+),/m.exec(printed)!;
    const [, invoices] = /^invoices: accuracy (\S+) /m.exec(printed)!;
    assert.ok(Number(churn) > 0.75 && Number(digits) > 0.95 && Number(invoices) > 0.75, printed);
    assert.ok(Number(pictures) > 0.95, printed);
    assert.ok(Number(second) < 0.6 * Number(first), printed);
  });

  test('each is smaller than 100 kB', () => {
    for (const path of globSync('**/model.onnx', { cwd: folder }))
      assert.ok(readFileSync(join(folder, path)).length < 100_000, path);
  });
});

for (const name of EXAMPLES) {
  describe(`examples/${name}`, () => {
    const page = readPage(`examples/${name}/README.md`);
    const lines = blocks(page).flatMap((block) => block.text.split('\n'));

    test('README shows how to install, to export, to serve, and to call it', () => {
      for (const line of [/^pip install /, /^([A-Z_]+=\S+ )?npx onnx-cloud-run serve /, /^FROM ml-model$/, /^curl /])
        assert.ok(
          lines.some((one) => line.test(one)),
          String(line),
        );
      assert.ok(lines.some((line) => line.startsWith(`python examples/${name}/export.py`)));
    });

    test('README has pip install every package that the script imports', () => {
      const packages: Readonly<Record<string, string>> = {
        PIL: 'pillow',
        sentence_transformers: 'sentence-transformers[onnx]',
        sklearn: 'scikit-learn',
      };
      // torch.onnx.export(dynamo=True) imports these itself; pandas and scikit-learn install numpy.
      const implied = ['argparse', 'base64', 'datetime', 'io', 'json', 'math', 'numpy', 'pathlib', 'sys'];
      const imported = Array.from(
        text(name, 'export.py').matchAll(/^(?:import|from) (\w+)/gm),
        ([, module]) => module!,
      );
      const [, installed] = /^pip install (.*)$/m.exec(page)!;
      for (const module of new Set(imported.filter((one) => !implied.includes(one))))
        assert.ok(installed!.split(/[\s"<]+/).includes(packages[module] ?? module), module);
      if (imported.includes('torch')) assert.match(installed!, / onnx onnxscript /);
    });

    test('the files that its Dockerfile copies are in the folder, or its script writes them', () => {
      const copied = lines.flatMap((line) => (/^COPY (.*) \S+$/.exec(line)?.[1] ?? '').split(' ').filter(Boolean));
      assert.ok(copied.length > 0);
      const script = text(name, 'export.py');
      for (const file of copied)
        assert.ok(existsSync(join(ROOT, 'examples', name, file)) || script.includes(`parent / "${file}"`), file);
    });
  });
}

test('examples --help says what it writes', () => {
  const help = execFileSync(process.execPath, [join(ROOT, 'scripts/examples.ts'), '--help'], { encoding: 'utf8' });
  assert.match(help, /^usage: node scripts\/examples\.ts \[FOLDER\]/);
});
