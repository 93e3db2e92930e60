import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { LONG_AGO } from '../../helpers/bucket.ts';
import { addConstant, externalWeights, identity, unknownOperator } from '../../helpers/models.ts';
import { startStorage } from '../../helpers/storage-server.ts';
import { doctor, folderOf } from './context.ts';

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ServingError);
  assert.match(error.message, message);
  return true;
};

test('an empty folder has no model: the line says what is expected in it', async (t) => {
  const folder = folderOf(t, {});
  await assert.rejects(doctor(folder), refused(/: expected model\.onnx in it, .*, and found no \.onnx file$/));
});

test('a folder whose file has another name is refused with what to do', async (t) => {
  const folder = folderOf(t, { 'fraud-v2.onnx': addConstant(1) });
  await assert.rejects(
    doctor(folder),
    refused(/rename fraud-v2\.onnx, or give its path: onnx-cloud-run doctor .*fraud-v2\.onnx$/),
  );
});

test('what is no model is refused: a missing file, a text file, an address that is not known', async (t) => {
  const folder = folderOf(t, { 'notes.txt': 'x' });
  await assert.rejects(doctor(join(folder, 'no.onnx')), refused(/no\.onnx: no such file or folder$/));
  await assert.rejects(
    doctor(join(folder, 'notes.txt')),
    refused(/a model is a file whose name ends in \.onnx, or a folder$/),
  );
  await assert.rejects(doctor('https://host/m.onnx'), refused(/a model is a \.onnx file, a folder, or gs:\/\/bucket/));
});

test('a .onnx file of any name is a model, with its external data beside it', async (t) => {
  const { model: bytes, data: weights } = externalWeights('parts/w.bin');
  const folder = folderOf(t, { 'net.onnx': bytes, 'parts/w.bin': weights });
  const { json } = await doctor(join(folder, 'net.onnx'));
  assert.deepEqual(
    [json.serves, json.models[0]!.name, json.models[0]!.bytes],
    [true, 'net', bytes.length + weights.length],
  );
});

test('every model of a folder is examined; of versions the highest; the exit code is 1 if one does not serve', async (t) => {
  const folder = folderOf(t, {
    'fraud/1/model.onnx': unknownOperator(),
    'fraud/2/model.onnx': addConstant(2),
    'churn/model.onnx': unknownOperator(),
    'old/7/notes.txt': 'x',
    'fraud/3/notes.txt': 'not uploaded yet',
    'churn/quantized.onnx': addConstant(1),
  });
  const { json, lines, isGood } = await doctor(folder);
  assert.deepEqual(
    json.models.map(({ name, version, serves, lower_versions }) => [name, version, serves, lower_versions]),
    [
      ['churn', '1', false, []],
      ['fraud', '2', true, ['1']],
    ],
  );
  assert.equal(isGood, false);
  assert.ok(json.ignored.some((line) => line.endsWith('fraud/3 has files, but no model.onnx')));
  assert.ok(json.ignored.some((line) => line.includes('churn/quantized.onnx is not named model.onnx')));
  assert.ok(lines.includes('1 of 2 models serves'));
  const one = await doctor(folder, { model: 'fraud' });
  assert.deepEqual(
    one.json.models.map(({ name }) => name),
    ['fraud'],
  );
  await assert.rejects(doctor(folder, { model: 'froud' }), refused(/it has no model froud; it has churn, fraud$/));
  assert.equal((await doctor(join(folder, 'fraud'))).json.models[0]!.version, '2');
});

/** A classifier as Hugging Face's optimum exports it, in small: token ids in, logits out. */
const classifier = () =>
  model({
    name: 'classifier',
    producer: 'pytorch',
    nodes: [
      node('Gather', ['table', 'input_ids'], ['embedded']),
      node('ReduceMean', ['embedded'], ['logits'], { axes: [1n], keepdims: 0n }),
    ],
    initializers: [initializer('table', 'float32', [30, 2], new Float32Array(60).fill(0.5))],
    inputs: [value('input_ids', 'int64', ['batch_size', 'sequence_length'])],
    outputs: [value('logits', 'float32', ['batch_size', 2])],
  });

test('an export of Hugging Face that is for something else than texts serves its tensors, and the report says why', async (t) => {
  const folder = folderOf(t, {
    'config.json': JSON.stringify({ model_type: 'distilbert', architectures: ['DistilBertForMaskedLM'] }),
    'tokenizer.json': '{}',
    'onnx/model.onnx': classifier(),
    'onnx/model_quantized.onnx': classifier(),
  });
  const { json, isGood } = await doctor(folder);
  const [{ name, findings, serves }] = json.models as [(typeof json.models)[0]];
  assert.deepEqual([name, serves, isGood], [basename(folder), true, true]);
  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['tensors', 'int64', 'hugging-face'],
  );
  const [tensors, , caller] = findings;
  assert.match(tensors!.problem, /^callers send tensors: tokenizer\.json lies beside it, and no config\.json says/);
  assert.match(tensors!.fix!, /^"input": \{"text": \{\}\} in model\.json has it take texts$/);
  assert.match(caller!.problem, /an export of DistilBertForMaskedLM \(distilbert\): the server takes its tensors/);
  assert.match(caller!.fix!, /tokenizer\.json/);
  assert.match(json.ignored[0]!, /onnx\/model_quantized\.onnx is not named model\.onnx/);
});

test('an export without tokenizer.json serves its tensors, and the report says that this file is missing', async (t) => {
  const folder = folderOf(t, {
    'config.json': JSON.stringify({ model_type: 'bert', architectures: ['BertModel'] }),
    'vocab.txt': '[PAD]\n',
    'model.onnx': classifier(),
  });
  const { json } = await doctor(folder);
  const note = json.models[0]!.findings.find(({ kind }) => kind === 'hugging-face');
  assert.match(note!.fix!, /^the server reads tokenizer\.json, and there is vocab\.txt: write it with AutoTokenizer/);
});

const REFS = join(import.meta.dirname, '../../assets/refs/models');

test('of an export for texts the report has each value with its file, and warns that its limits disagree', async () => {
  const { json, lines } = await doctor(join(REFS, 'text-embedding-bert'));
  const [{ name, preparation, findings }] = json.models as [(typeof json.models)[0]];
  assert.equal(name, 'text-embedding-bert');
  assert.deepEqual(
    [preparation?.kind, preparation?.max_length],
    ['text', { value: 96, from: 'sentence_bert_config.json: max_seq_length' }],
  );
  assert.ok(lines.some((line) => /^ +texts +task embedding \(modules\.json\)$/.test(line)));
  assert.ok(lines.some((line) => / pooling mean \(1_Pooling\/config\.json: pooling_mode_mean_tokens\)$/.test(line)));
  const limits = findings.find(({ kind }) => kind === 'text-limits');
  assert.equal(limits?.level, 'warning');
  assert.match(
    limits!.problem,
    /: 96 by sentence_bert_config\.json: max_seq_length, 128 by .*, 64 by tokenizer\.json: truncation\.max_length; longer ones are cut off at 96$/,
  );
});

test('of embeddings for which no file says how they are pooled, the report says what the server does', async (t) => {
  const folder = join(folderOf(t, {}), 'copy');
  cpSync(join(REFS, 'text-embedding-bert'), folder, { recursive: true });
  const pooling = async () =>
    (await doctor(folder)).json.models[0]!.findings.filter(({ kind }) => kind === 'text-pooling');
  assert.deepEqual(await pooling(), []);
  rmSync(join(folder, 'modules.json'));
  rmSync(join(folder, '1_Pooling'), { recursive: true });
  const [finding, ...others] = await pooling();
  assert.deepEqual([finding!.level, others.length], ['warning', 0]);
  assert.match(finding!.problem, /^no file says how tokens become an embedding: it is their mean, and not normalized$/);
  assert.match(finding!.fix!, /modules\.json/);
  writeFileSync(join(folder, 'model.json'), '{"input":{"text":{"pooling":"mean"}}}');
  assert.deepEqual(await pooling(), []);
});

test('of an export for pictures the report has their size, mean and deviation', async () => {
  const { json } = await doctor(join(REFS, 'image-classifier-resnet'));
  const { preparation } = json.models[0]!;
  assert.equal(preparation?.kind, 'picture');
  assert.deepEqual(preparation.crop, {
    value: { width: 224, height: 224 },
    from: 'preprocessor_config.json: crop_size',
  });
  assert.deepEqual(preparation.mean, { value: [0.485, 0.456, 0.406], from: 'preprocessor_config.json: image_mean' });
  assert.deepEqual(preparation.labels, { value: 10, from: 'config.json: id2label' });
});

test('a model in a bucket is fetched by the server, examined, and its copy is removed', async (t) => {
  const storage = await startStorage();
  const { TMPDIR } = process.env;
  const temporary = folderOf(t, {});
  Object.assign(process.env, { STORAGE_EMULATOR_HOST: storage.url, TMPDIR: temporary });
  t.after(async () => {
    delete process.env.STORAGE_EMULATOR_HOST;
    delete process.env.TMPDIR;
    Object.assign(process.env, TMPDIR !== undefined && { TMPDIR });
    await storage.close();
  });
  const { model: bytes, data: weights } = externalWeights('w.bin');
  storage.put('models', 'net/2/model.onnx', bytes, LONG_AGO);
  storage.put('models', 'net/2/w.bin', weights, LONG_AGO);
  storage.put('models', 'net/1/model.onnx', identity(), LONG_AGO);
  storage.put('models', 'broken/model.onnx', Buffer.from('text'), LONG_AGO);
  storage.put('models', 'code/model.onnx', identity(), LONG_AGO);
  storage.put('models', 'code/transform.js', Buffer.from('process.exit(3)'), LONG_AGO);
  const { json, isGood } = await doctor('gs://models');
  assert.deepEqual(
    json.models.map(({ name, version, serves, place }) => [name, version, serves, place]),
    [
      ['broken', undefined, false, 'gs://models/broken/model.onnx'],
      ['code', undefined, false, 'gs://models/code/model.onnx'],
      ['net', '2', true, 'gs://models/net/2/model.onnx'],
    ],
  );
  assert.match(json.models[1]!.findings[0]!.problem, /is code, and models of a bucket may have none/);
  assert.match(json.models[0]!.findings[0]!.problem, /^expected an ONNX model, but found text: "text"$/);
  assert.equal(isGood, false);
  assert.deepEqual(readdirSync(temporary), []);
  storage.inject({ kind: 'media', type: 'status', status: 403 });
  await assert.rejects(
    doctor('gs://models/net'),
    refused(/403/),
    'that an object cannot be read is no verdict on the model',
  );
  await assert.rejects(doctor('gs://models/none'), refused(/^gs:\/\/models\/none: no such folder in the bucket$/));
});

test('a file that cannot be read as config.json of Hugging Face is none', async (t) => {
  const folder = folderOf(t, { 'config.json': '{"model_type":', 'model.onnx': readFileSync('models/iris/model.onnx') });
  const { json } = await doctor(folder);
  assert.deepEqual(
    json.models[0]!.findings.map(({ kind }) => kind),
    ['int64'],
  );
});
