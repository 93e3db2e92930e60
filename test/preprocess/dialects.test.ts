import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import type { Repository } from '../../functions/model/repository/repository.ts';
import type { Generation } from '../../functions/model/serving/generation.ts';
import { createBodyReader } from '../../functions/routes/body-reader.ts';
import { createBatchPredictRoutes } from '../../functions/routes/native/batch-predict.ts';
import { createPredictRoutes } from '../../functions/routes/native/predict.ts';
import { createOpenInferenceRoutes } from '../../functions/routes/open-inference/routes.ts';
import { writeDocument } from '../../functions/routes/openapi/document.ts';
import { createTensorFlowServingRoutes } from '../../functions/routes/tensorflow-serving/routes.ts';
import { createVertexRoutes } from '../../functions/routes/vertex/routes.ts';
import { type Answer, batch, call, linesOf, post } from '../helpers/calls.ts';
import { loadPictures, pictureFile, pictureFiles, referenceCases } from '../helpers/picture-model.ts';
import { serveOnly } from '../helpers/route-host.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';

const MODEL = 'image-classifier-resnet';
const MAX_BODY_BYTES = 4_000_000;
let host: { url: string };
let live: Generation;
const ends: (() => unknown)[] = [];
after(async () => {
  for (const end of ends.reverse()) await end();
});

/** The routes that predict, over a real model and its processes. */
before(async () => {
  const t = { after: (end: () => unknown) => void ends.push(end) };
  const telemetry = recordTelemetry();
  live = await loadPictures(t, pictureFiles(MODEL), {}, telemetry);
  const repository = repositoryOf(live);
  const parser = createBodyReader(new URL('../../functions/routes/body-thread.ts', import.meta.url));
  t.after(() => parser.close());
  const draining = new AbortController().signal;
  const shared = { repository, parser, metrics: telemetry.metrics, maxBodyBytes: MAX_BODY_BYTES };
  const routes = [
    ...createPredictRoutes(shared),
    ...createBatchPredictRoutes({ ...shared, maxBatchSize: 32, idleMs: 10_000, draining }),
    ...createOpenInferenceRoutes({
      ...shared,
      draining: () => false,
      admin: false,
      maxBatchSize: 32,
      batchDelayMs: 0,
      onGpu: false,
      logger: telemetry.logger,
    }),
    ...createTensorFlowServingRoutes(shared),
    ...createVertexRoutes({
      ...shared,
      draining: () => false,
      predictRoute: '/vertex',
      healthRoute: undefined,
      endpointId: undefined,
      deployedModelId: undefined,
    }),
  ];
  host = await serveOnly(t as never, routes, telemetry);
});

function repositoryOf(live: Generation): Repository {
  const main = {
    live: () => live,
    whenLive: async () => live,
    status: () => ({ name: 'm', version: '1', state: 'ready' }),
  };
  const listed = { name: 'm', unloaded: false, versions: [{ number: '1', status: main.status() }] };
  return {
    main,
    find: async () => main,
    loaded: () => live,
    list: async () => [listed],
    describe: async () => listed,
  } as unknown as Repository;
}

const FILES = ['jpeg-baseline.jpg', 'png-palette.png', 'webp-lossy.webp'];
const base64 = (name: string): string => pictureFile(name).toString('base64');

/** The logits of each picture, as a dialect gives them, agree with the reference. */
function check(rows: readonly (readonly number[])[], files: readonly string[] = FILES): void {
  assert.equal(rows.length, files.length);
  for (const [i, file] of files.entries()) {
    const { logits } = referenceCases(MODEL).find((one) => one.file === file)!.pil!;
    for (const [at, logit] of logits.entries()) assert.ok(Math.abs(rows[i]![at]! - logit) <= 1e-3, `${file}: ${at}`);
  }
}

function json(answer: Answer) {
  assert.equal(answer.status, 200, answer.text);
  return answer.json();
}

test('/predict takes base64 of either alphabet, a data: URL, and the objects {"image": …} and {"b64": …}', async () => {
  for (const file of FILES) {
    const text = base64(file);
    const url = text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    for (const features of [
      text,
      url,
      `data:image/jpeg;base64,${text}`,
      { image: text },
      { b64: text },
      { image: { b64: text } },
    ]) {
      const { outputs } = json(await post(host, '/predict', { features }));
      check([outputs.logits], [file]);
    }
  }
});

test('/predict takes the picture itself, and a form with it, at each path of the model', async () => {
  for (const path of ['/predict', '/models/m/predict', '/models/m/versions/1/predict']) {
    for (const [file, type] of [
      ['jpeg-baseline.jpg', 'image/jpeg'],
      ['png-palette.png', 'image/png'],
      ['webp-lossy.webp', 'image/webp'],
      ['gif-three-frames.gif', 'image/gif'],
      // What a file is follows from its bytes.
      ['png-named.jpg', 'image/jpeg'],
    ] as const) {
      const body = pictureFile(file) as Buffer<ArrayBuffer>;
      const raw = await call(host, path, { method: 'POST', body, headers: { 'content-type': type } });
      check([json(raw).outputs.logits], [file]);
      const form = new FormData();
      form.append('note', 'ignored');
      form.append('image', new Blob([body], { type }), file);
      check([json(await call(host, path, { method: 'POST', body: form })).outputs.logits], [file]);
    }
  }
});

test('a form with no file, or several, is refused with what to do', async () => {
  const several = new FormData();
  for (const name of ['a', 'b'])
    several.append(name, new Blob([pictureFile('png-1x1.png') as Buffer<ArrayBuffer>]), name);
  const none = new FormData();
  none.append('image', 'text');
  const many = new FormData();
  for (let i = 0; i < 40; i++) many.append(`field${i}`, 'x');
  for (const [body, message] of [
    [several, /several files.*\/batch_predict/],
    [none, /without a file/],
    [many, /more than 32 parts/],
  ] as const) {
    const answer = await call(host, '/predict', { method: 'POST', body });
    assert.deepEqual([answer.status, answer.json().code], [400, 'INVALID_INPUT']);
    assert.match(answer.json().error, message);
  }
  for (const [body, type] of [
    ['--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\ncut', 'multipart/form-data; boundary=x'],
    ['', 'multipart/form-data; boundary=x'],
    ['anything', 'multipart/form-data'],
  ] as const) {
    const answer = await call(host, '/predict', { method: 'POST', body, headers: { 'content-type': type } });
    assert.deepEqual([answer.status, answer.json().code], [400, 'INVALID_INPUT'], answer.text);
  }
});

test('a body that is no picture, and one above the limit, is refused', async () => {
  const send = (body: Buffer<ArrayBuffer>, type = 'image/jpeg') =>
    call(host, '/predict', { method: 'POST', body, headers: { 'content-type': type } });
  const text = await send(pictureFile('bad-text.jpg') as Buffer<ArrayBuffer>);
  assert.deepEqual([text.status, text.json().code], [400, 'INVALID_INPUT']);
  assert.match(text.json().error, /found a text file/);
  assert.equal((await send(Buffer.alloc(0))).status, 400);
  assert.equal((await send(Buffer.alloc(MAX_BODY_BYTES + 1))).status, 413);
  const tiff = await send(Buffer.from('II*\0'), 'image/tiff');
  assert.equal(tiff.status, 415);
  assert.match(tiff.json().error, /application\/json or image\/jpeg or .*multipart\/form-data/);
});

test('the example of the OpenAPI document is predicted, and the document lists the media types', async () => {
  const routes = [{ method: 'POST', path: '/predict' }] as const;
  const { paths, components } = JSON.parse(writeDocument(routes, live));
  const { content } = paths['/predict'].post.requestBody;
  assert.deepEqual(Object.keys(content).slice(0, 2), ['application/json', 'image/jpeg']);
  assert.ok('multipart/form-data' in content);
  assert.equal(components.schemas.Features.anyOf[0].contentEncoding, 'base64');
  assert.equal((await post(host, '/predict', content['application/json'].examples.row.value)).status, 200);
});

test('what is not base64 is refused with its place', async () => {
  for (const [body, path] of [
    [{ features: 'not base64!' }, 'features'],
    [{ features: { image: 7 } }, 'features.image'],
    [{ features: { b64: 'A' } }, 'features'],
    [{ features: 'data:image/png,abc' }, 'features'],
    [{ features: [base64('png-1x1.png')] }, 'features'],
  ] as const) {
    const answer = await post(host, '/predict', body);
    assert.deepEqual(
      [answer.status, answer.json().code, answer.json().path],
      [400, 'INVALID_INPUT', path],
      answer.text,
    );
  }
});

test('/batch_predict takes pictures as NDJSON and as JSON, long ones too, and a bad one costs no other', async () => {
  const long = await sharp(pictureFile('png-rgb-256.png')).png({ compressionLevel: 0 }).toBuffer();
  const files = [...FILES, 'png-rgb-256.png'];
  const texts = [...FILES.map(base64), long.toString('base64')];
  const lines = linesOf(
    await batch(
      host,
      [...texts, 'AAAA'].map((features) => ({ features })),
    ),
  );
  check(
    lines.slice(0, 4).map(({ outputs }) => outputs.logits),
    files,
  );
  assert.deepEqual([lines[4].error.code, lines[5].ok, lines[5].failed], ['INVALID_INPUT', 4, 1]);
  for (const instances of [texts, texts.map((image) => ({ image })), texts.map((b64) => ({ b64 }))]) {
    const rows = linesOf(await post(host, '/batch_predict', { instances }));
    check(
      rows.slice(0, 4).map(({ outputs }) => outputs.logits),
      files,
    );
  }
});

test("TensorFlow Serving's and Vertex AI's instances take pictures as text, as {b64} and by name", async () => {
  const texts = FILES.map(base64);
  for (const instances of [
    texts,
    texts.map((b64) => ({ b64 })),
    texts.map((image) => ({ image })),
    texts.map((b64) => ({ image: { b64 } })),
    [texts[0], { b64: texts[1] }, { image: { b64: texts[2] } }],
  ]) {
    check(json(await post(host, '/v1/models/m:predict', { instances })).predictions);
    const { predictions } = json(await post(host, '/vertex', { instances }));
    check(predictions.map(({ outputs }: { outputs: { logits: number[] } }) => outputs.logits));
  }
  check(json(await post(host, '/v1/models/m:predict', { inputs: texts.map((b64) => ({ b64 })) })).outputs);
  check(json(await post(host, '/v1/models/m:predict', { inputs: { image: texts } })).outputs);
  const refused = await post(host, '/v1/models/m:predict', { instances: [{ b64: texts[0] }, { b64: '?' }] });
  assert.equal(refused.status, 400);
  assert.match(refused.text, /instances\[1\]/);
});

test('the Open Inference Protocol takes pictures as base64 in JSON, and as they are in binary data', async () => {
  const shape = [FILES.length];
  const input = { name: 'image', datatype: 'BYTES', shape };
  const rowsOf = (answer: Answer): number[][] => {
    const { data } = json(answer).outputs[0];
    return FILES.map((_, i) => data.slice(i * 10, i * 10 + 10));
  };
  check(rowsOf(await post(host, '/v2/models/m/infer', { inputs: [{ ...input, data: FILES.map(base64) }] })));
  const parts = FILES.flatMap((file) => {
    const bytes = pictureFile(file);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  const binary = Buffer.concat(parts);
  const head = Buffer.from(JSON.stringify({ inputs: [{ ...input, parameters: { binary_data_size: binary.length } }] }));
  const send = (body: Buffer<ArrayBuffer>, length: number) =>
    call(host, '/v2/models/m/infer', {
      method: 'POST',
      body,
      headers: { 'inference-header-content-length': String(length) },
    });
  check(rowsOf(await send(Buffer.concat([head, binary]), head.length)));
  const raw = await fetch(`${host.url}/v2/models/m/infer`, {
    method: 'POST',
    body: pictureFile(FILES[0]!) as Buffer<ArrayBuffer>,
    headers: { 'inference-header-content-length': '0' },
  });
  const bytes = Buffer.from(await raw.arrayBuffer());
  const text = Number(raw.headers.get('inference-header-content-length'));
  check([Array.from({ length: 10 }, (_, i) => bytes.readFloatLE(text + i * 4))], FILES.slice(0, 1));
});
