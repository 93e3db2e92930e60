import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bytesOf,
  chooseDefault,
  chooseVersion,
  partsOf,
  placeOf,
  readLayout,
  stampOf,
} from '../../../functions/model/folder/layout.ts';
import type { Entry } from '../../../functions/model/sources/source.ts';

const entry = (path: string, stamp = '1', bytes = 10): Entry => ({
  path,
  bytes,
  stamp,
  crc32c: undefined,
  md5: undefined,
  gzip: false,
  modifiedAt: 0,
});
const layOut = (root: string, ...paths: string[]) =>
  readLayout(
    root,
    paths.map((path) => entry(path)),
  );
const told = (root: string, ...paths: string[]) =>
  Array.from(layOut(root, ...paths).models, ([name, versions]) => [name, ...versions.map(({ number }) => number)]);

test('a root with model.onnx in it is one model with the name of the root', () => {
  assert.deepEqual(told('gs://b/models/iris', 'model.onnx', 'model.json', 'notes/a.md'), [['iris', undefined]]);
  assert.deepEqual(told('gs://bucket', 'model.onnx'), [['bucket', undefined]]);
});

test('versions are ordered from the highest number down, as numbers and not as texts, one without a number last', () => {
  const paths = ['2/model.onnx', '10/model.onnx', 'model.onnx', '9/model.onnx', 'draft/model.onnx', '11x/model.onnx'];
  assert.deepEqual(told('/m/iris', ...paths)[0], ['iris', '10', '9', '2', undefined]);
  assert.equal(chooseDefault(layOut('/m/iris', ...paths), undefined), 'iris', 'drafts beside them are other models');
});

test('a root that is a version folder is that version of the model above it', () => {
  const layout = layOut('gs://b/models/iris/3', 'model.onnx');
  assert.deepEqual(told('gs://b/models/iris/3', 'model.onnx'), [['iris', '3']]);
  assert.equal(layout.models.get('iris')![0]!.folder, '');
});

test('a repository has models by name, with spaces, dots and slashes as they are', () => {
  assert.deepEqual(
    told('/m', 'b.2 large/model.onnx', 'team/fraud/1/model.onnx', 'team/fraud/2/model.onnx', 'x/y.onnx'),
    [
      ['b.2 large', undefined],
      ['team/fraud', '2', '1'],
    ],
  );
});

test('a root that ends in .onnx is that file, with its own name or, if it is model.onnx, that of its folder', () => {
  assert.deepEqual(told('gs://b/p/fraud v2.onnx', 'fraud v2.onnx', 'other.onnx'), [['fraud v2', undefined]]);
  assert.deepEqual(told('gs://b/p/model.onnx', 'model.onnx'), [['p', undefined]]);
  assert.deepEqual(told('gs://b/p/fraud.onnx', 'other.onnx'), []);
  assert.deepEqual(told('gs://b/p/3/model.onnx', 'model.onnx'), [['p', '3']]);
});

test('a folder belongs to the nearest model above it', () => {
  const layout = layOut('/m', 'a/model.onnx', 'a/w/x.data', 'a/1/model.onnx', 'a/1/x.data');
  const [first, second] = layout.models.get('a')!;
  assert.deepEqual([...first!.siblings.keys()], ['x.data']);
  assert.deepEqual([...second!.siblings.keys()], ['w/x.data']);
});

test('numbered folders above the highest version that have files but no model are listed as unfinished', () => {
  const layout = layOut('/m', 'a/1/model.onnx', 'a/2/model.onnx.data', 'a/0/model.json', 'b/model.onnx', 'b/7/x');
  assert.deepEqual(layout.unfinished, ['a/2', 'b/7']);
});

test('a version is chosen by its number, else the highest; a missing one is NOT_FOUND and named', () => {
  const layout = layOut('/m', 'a/1/model.onnx', 'a/2/model.onnx', 'b/model.onnx');
  assert.equal(chooseVersion(layout, 'a', undefined).number, '2');
  assert.equal(chooseVersion(layout, 'a', '1').number, '1');
  assert.throws(() => chooseVersion(layout, 'a', '3'), { code: 'NOT_FOUND', message: 'the model a has no version 3' });
  assert.throws(() => chooseVersion(layout, 'c', undefined), { code: 'NOT_FOUND', message: 'there is no model c' });
  assert.throws(
    () => chooseVersion(layout, 'c'.repeat(200), undefined),
    (error: Error) => error.message.length < 120,
  );
});

test('the model behind /predict is the only one, or that of MODEL_NAME', () => {
  assert.equal(chooseDefault(layOut('/m', 'a/model.onnx'), undefined), 'a');
  const several = layOut('/m', 'b/model.onnx', 'a/model.onnx');
  assert.equal(chooseDefault(several, 'b'), 'b');
  assert.throws(() => chooseDefault(several, undefined), {
    code: 'MODEL_FAILED',
    message:
      'MODEL_URI /m holds 2 models: set MODEL_NAME to one of a, b, which /predict then serves; each is served at /models/<name>/predict',
  });
  assert.equal(chooseDefault(layOut('/m/iris', 'model.onnx'), 'anything'), 'iris');
});

test('a model that was put into the root by mistake does not replace the named one', () => {
  for (const stray of ['7/model.onnx', 'model.onnx']) {
    const layout = layOut('/m', 'fraud/1/model.onnx', stray, 'churn/1/model.onnx');
    assert.equal(chooseDefault(layout, 'fraud'), 'fraud');
    assert.deepEqual([...layout.models.keys()].sort(), ['churn', 'fraud', 'm']);
    assert.throws(() => chooseDefault(layout, 'lily'), { message: /no model\.onnx in \/m\/lily/ });
  }
});

test('the layout of twenty thousand files is fast', () => {
  const paths = Array.from({ length: 4000 }, (_, i) => ['a', 'b', 'c', 'd'].map((file) => `m${i}/1/${file}`)).flat();
  const entries = [...paths, ...Array.from({ length: 4000 }, (_, i) => `m${i}/1/model.onnx`)].map((path) =>
    entry(path),
  );
  const layout = readLayout('/m', entries);
  assert.equal(layout.models.size, 4000);
  assert.equal(layout.models.get('m3999')![0]!.siblings.size, 4);
});

test('a name that does not exist, or is not a name, is refused with what was expected', () => {
  const layout = layOut('/m', 'a/model.onnx');
  assert.throws(() => chooseDefault(layout, 'c'), {
    message: 'no model.onnx in /m/c, nor in a numbered version folder of it: MODEL_NAME takes a',
  });
  for (const name of ['..', '../outside', 'a/../../outside', '/outside', 'a//b', './a']) {
    assert.throws(() => chooseDefault(layout, name), {
      code: 'MODEL_FAILED',
      message: `MODEL_NAME ${name}: not a name`,
    });
  }
  assert.throws(() => chooseDefault(layOut('/m'), undefined), {
    message: 'MODEL_URI /m: no model.onnx in it, nor in <name>/ or <name>/<version>/',
  });
});

test('the parts of a model are its file, manifest, golden rows, and the weights to which it refers', () => {
  const files = ['model.onnx', 'model.json', 'golden.json', 'pytorch_model.bin', 'other.onnx.data', 'w/a', 'a.md'];
  const version = layOut('/m', ...files).models.get('m')![0]!;
  const own = ['golden.json', 'model.json', 'model.onnx'];
  assert.deepEqual([...partsOf(version, []).keys()].sort(), own);
  assert.deepEqual([...partsOf(version, ['w/a']).keys()].sort(), [...own, 'w/a']);
  assert.deepEqual([bytesOf(version, []), bytesOf(version, ['w/a'])], [10, 20], 'the model and its weights');
});

test('the stamp changes only when a part does', () => {
  const stamp = (...entries: Entry[]) => stampOf(readLayout('/m', entries).models.get('m')![0]!, ['w']);
  const model = entry('model.onnx');
  const before = stamp(model, entry('pytorch_model.bin'));
  assert.equal(stamp(model, entry('pytorch_model.bin', '2'), entry('b.md')), before);
  assert.notEqual(stamp(entry('model.onnx', '2'), entry('pytorch_model.bin')), before);
  assert.notEqual(stamp(model, entry('golden.json')), before);
  assert.notEqual(stamp(model, entry('w')), before);
  assert.notEqual(stamp(model, entry('w', '2')), stamp(model, entry('w')));
  assert.notEqual(stamp(entry('model.onnx', '1', 11)), before);
  const numbered = stampOf(readLayout('/m', [entry('2/model.onnx')]).models.get('m')![0]!, []);
  assert.notEqual(numbered, stampOf(readLayout('/m', [entry('3/model.onnx')]).models.get('m')![0]!, []));
});

test('version numbers are numbers: 00000123 is 123, and of two folders with one number that without zeros serves', () => {
  assert.deepEqual(told('/m', 'a/00000123/model.onnx', 'a/0/model.onnx'), [['a', '123', '0']]);
  assert.deepEqual(told('gs://b/iris/007', 'model.onnx'), [['iris', '7']]);
  for (const order of [
    ['a/01/model.onnx', 'a/1/model.onnx', 'a/001/model.onnx'],
    ['a/001/model.onnx', 'a/1/model.onnx', 'a/01/model.onnx'],
  ]) {
    const layout = layOut('/m', ...order);
    assert.deepEqual(
      layout.models.get('a')!.map(({ number, folder }) => [number, folder]),
      [['1', 'a/1']],
    );
    assert.deepEqual(layout.duplicates, ['a/01', 'a/001']);
  }
  assert.deepEqual(layOut('/m', 'a/01/model.onnx', 'a/0002/x').unfinished, ['a/0002']);
});

test("MODEL_FILE names the file in a model's folder; the model's other files are in that folder", () => {
  const paths = ['bert/onnx/model.onnx', 'bert/onnx/model_q.onnx', 'bert/model.json', 'bert/onnx/model_q.onnx_data'];
  const layout = readLayout(
    '/m',
    paths.map((path) => entry(path)),
    { file: 'onnx/model_q.onnx' },
  );
  const [version] = layout.models.get('bert')!;
  assert.deepEqual([version!.folder, version!.file, version!.model.path], ['bert', 'onnx/model_q.onnx', paths[1]]);
  assert.deepEqual([...version!.siblings.keys()], ['onnx/model.onnx', 'model.json', 'onnx/model_q.onnx_data']);
  assert.equal(placeOf('/m', version!), '/m/bert/onnx/model_q.onnx');
});

test('if there is no model.onnx, the other .onnx files are named', () => {
  assert.throws(() => chooseDefault(layOut('/m', 'onnx/model_q.onnx', 'a.onnx', 'a.md'), undefined), {
    message: /no model\.onnx in it, .*; there is a\.onnx, onnx\/model_q\.onnx: set MODEL_FILE to the one to serve$/,
  });
  assert.throws(() => chooseDefault(layOut('/m', 'a/x.onnx', 'b/model.onnx'), 'a'), {
    message: /^no model\.onnx in \/m\/a, .*; there is x\.onnx: set MODEL_FILE/,
  });
});

test('in any order of the listing, each version number occurs once, from the highest down', () => {
  const digits = fc.tuple(fc.nat(3), fc.nat(30)).map(([zeros, number]) => '0'.repeat(zeros) + number);
  fc.assert(
    fc.property(fc.uniqueArray(digits, { minLength: 1 }), (folders) => {
      const paths = folders.map((folder) => `a/${folder}/model.onnx`);
      const versions = layOut('/m', ...paths).models.get('a')!;
      const numbers = [...new Set(folders.map(Number))].sort((a, b) => b - a).map(String);
      assert.deepEqual(
        versions.map(({ number }) => number),
        numbers,
      );
      for (const { number, folder } of versions) {
        const same = folders.filter((one) => Number(one) === Number(number));
        assert.ok(
          same.every((one) => folder.length <= `a/${one}`.length),
          'the plainest serves',
        );
      }
      assert.deepEqual(
        layOut('/m', ...paths.toReversed())
          .models.get('a')!
          .map(({ folder }) => folder),
        versions.map(({ folder }) => folder),
      );
      assert.equal(layOut('/m', ...paths).duplicates.length, folders.length - numbers.length);
    }),
  );
});

/** Folders of a model and its version below a root, and what is listed of them: the name, the number, the folder and the file. */
const EXPORTS: [title: string, root: string, paths: string[], models: unknown[][], file?: string][] = [
  ['the root', '/m/bert', ['onnx/model.onnx', 'config.json'], [['bert', undefined, '', 'onnx/model.onnx']]],
  ['a bucket', 'gs://b', ['onnx/model.onnx', 'tokenizer.json'], [['b', undefined, '', 'onnx/model.onnx']]],
  ['a version as the root', '/m/bert/3', ['onnx/model.onnx', 'config.json'], [['bert', '3', '', 'onnx/model.onnx']]],
  [
    'a model of a repository',
    '/m',
    ['bert/onnx/model.onnx', 'bert/config.json', 'iris/model.onnx'],
    [
      ['bert', undefined, 'bert', 'onnx/model.onnx'],
      ['iris', undefined, 'iris', 'model.onnx'],
    ],
  ],
  [
    'versions of a model',
    '/m',
    ['bert/1/onnx/model.onnx', 'bert/1/config.json', 'bert/2/onnx/model.onnx', 'bert/2/tokenizer.json'],
    [
      ['bert', '2', 'bert/2', 'onnx/model.onnx'],
      ['bert', '1', 'bert/1', 'onnx/model.onnx'],
    ],
  ],
  [
    'a file of MODEL_FILE',
    '/m/bert',
    ['onnx/model.onnx', 'onnx/model_quantized.onnx', 'config.json'],
    [['bert', undefined, '', 'onnx/model_quantized.onnx']],
    'model_quantized.onnx',
  ],
  [
    'a file of MODEL_FILE with its folder',
    '/m/bert',
    ['onnx/model.onnx', 'onnx/model_quantized.onnx', 'config.json'],
    [['bert', undefined, '', 'onnx/model_quantized.onnx']],
    'onnx/model_quantized.onnx',
  ],
  [
    'a model of the folder itself and one in onnx/: the former serves',
    '/m/bert',
    ['model.onnx', 'onnx/model.onnx', 'config.json'],
    [['bert', undefined, '', 'model.onnx']],
  ],
  [
    'a folder onnx without the files of an export above it, which is a model of its own',
    '/m',
    ['onnx/model.onnx', 'a/onnx/model.onnx', 'a/notes.json', 'a/b/config.json'],
    [
      ['onnx', undefined, 'onnx', 'model.onnx'],
      ['a/onnx', undefined, 'a/onnx', 'model.onnx'],
    ],
  ],
];

for (const [title, root, paths, models, file] of EXPORTS) {
  test(`an export with its file in onnx/ is the model of the folder above: ${title}`, () => {
    for (const order of [paths, paths.toReversed()]) {
      const layout = readLayout(
        root,
        order.map((path) => entry(path)),
        { file },
      );
      const found = [...layout.models.values()].flat();
      assert.deepEqual(found.map((one) => [one.name, one.number, one.folder, one.file]).sort(), models.toSorted());
    }
  });
}

test('the files of an export above onnx/ are those of the model, with the weights beside its file', () => {
  const paths = ['onnx/model.onnx', 'onnx/model.onnx_data', 'config.json', 'model.json', '1_Pooling/config.json'];
  const layout = layOut('/m', ...paths.map((path) => `bert/1/${path}`), 'bert/1/onnx/model_q.onnx');
  const version = layout.models.get('bert')![0]!;
  assert.deepEqual([...version.siblings.keys()].sort(), [...paths.slice(1), 'onnx/model_q.onnx'].sort());
  assert.equal(placeOf('/m', version), '/m/bert/1/onnx/model.onnx');
  assert.deepEqual(layout.otherFiles, ['bert/1/onnx/model_q.onnx']);
  const both = layOut('/m', 'onnx/model.onnx', 'model.onnx', 'config.json');
  assert.deepEqual(both.otherFiles, ['onnx/model.onnx'], 'a model that does not serve is named');
});

const EXPORT = ['tokenizer.json', 'config.json', 'modules.json', '1_Pooling/config.json', 'sentence_bert_config.json'];

test('the files of an export are parts of a model if one of them is for texts or pictures; checkpoints are not', () => {
  const partsIn = (...files: string[]) =>
    [...partsOf(layOut('/m', 'model.onnx', ...files).models.get('m')![0]!, []).keys()].sort();
  const others = ['pytorch_model.bin', 'model.safetensors', 'tf_model.h5', 'vocab.txt', '1_Pooling/notes.json'];
  assert.deepEqual(partsIn(...EXPORT, ...others), [...EXPORT, 'model.onnx'].sort());
  assert.deepEqual(partsIn('config.json', ...others), ['model.onnx'], 'a config.json may be of another program');
  assert.deepEqual(partsIn('config.json', 'preprocessor_config.json'), [
    'config.json',
    'model.onnx',
    'preprocessor_config.json',
  ]);
});

test('a new tokenizer.json is a new stamp, as a new file of any setting; a checkpoint is not', () => {
  const stamp = (...changed: string[]) => {
    const files = ['model.onnx', 'model.safetensors', ...EXPORT];
    const listed = files.map((path) => entry(path, changed.includes(path) ? '2' : '1'));
    return stampOf(readLayout('/m', listed).models.get('m')![0]!, []);
  };
  for (const path of EXPORT) assert.notEqual(stamp(path), stamp(), path);
  assert.equal(stamp('model.safetensors'), stamp());
});

test('a file of an export that is too large is no part: it is neither fetched nor read', () => {
  const listed = [
    entry('model.onnx'),
    entry('tokenizer.json', '1', 64 * 2 ** 20 + 1),
    entry('config.json', '1', 2 ** 22),
  ];
  const version = readLayout('/m', listed).models.get('m')![0]!;
  assert.deepEqual([...partsOf(version, []).keys()], ['model.onnx', 'config.json']);
});

test('in any folder and any order of the listing, an export in onnx/ has the name, the version and the files of its folder', () => {
  const folder = fc.constantFrom('', 'a', 'a/b', 'a/7', 'a/007', '3');
  const marker = fc.subarray(['config.json', 'tokenizer.json'], { minLength: 1 });
  fc.assert(
    fc.property(fc.uniqueArray(folder, { minLength: 1 }), marker, fc.boolean(), (folders, markers, reverse) => {
      const inFolder = (path: string, file: string) => (path === '' ? file : `${path}/${file}`);
      const lay = (...files: string[]) => {
        const paths = folders.flatMap((one) => files.map((file) => inFolder(one, file)));
        return layOut('/m', ...(reverse ? paths.toReversed() : paths));
      };
      const shape = ({ models, duplicates }: ReturnType<typeof layOut>) => [
        [...models].map(([name, found]) => [name, found.map((one) => [one.number, one.folder])]).sort(),
        duplicates.toSorted(),
      ];
      assert.deepEqual(shape(lay('onnx/model.onnx', ...markers)), shape(lay('model.onnx', ...markers)));
    }),
  );
});
