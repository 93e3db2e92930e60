import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { decodePicture } from '../../functions/pictures/decode.ts';
import { applyGeometry } from '../../functions/pictures/geometry.ts';
import { normalise } from '../../functions/pictures/normalise.ts';
import { readPictureSettings } from '../../functions/pictures/settings.ts';

const REFS = join(import.meta.dirname, '../assets/refs');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const read = (path: string): string => readFileSync(join(REFS, path), 'utf8');

interface Reading {
  pixel_values: { samples: number[]; sha256_rounded: string; sha256_uint8_hwc: string };
  logits: number[];
  top5: { label: string; index: number }[];
}

interface Expected {
  settings: { sample_positions: [channel: number, y: number, x: number][] };
  cases: { file: string; pil?: Reading }[];
}

for (const model of ['image-classifier-resnet', 'image-classifier-vit']) {
  const expected = JSON.parse(read(`expected/${model}.json`)) as Expected;
  const settings = readPictureSettings({
    preprocessor: read(`models/${model}/preprocessor_config.json`),
    config: read(`models/${model}/config.json`),
  });
  const session = InferenceSession.create(join(REFS, `models/${model}/model.onnx`), { intraOpNumThreads: 1 });

  for (const { file, pil } of expected.cases) {
    if (pil === undefined) continue;
    test(`${model} answers ${file} as the reference does, from the same pixels`, async () => {
      const decoded = await decodePicture(readFileSync(join(REFS, 'images', file)));
      const pixels = applyGeometry(settings.geometry, decoded);
      const { width, height } = pixels;
      assert.equal(sha256(pixels.data), pil.pixel_values.sha256_uint8_hwc);

      const values = normalise(pixels.data, pixels, settings.normalisation, 'NCHW', 'float32');
      for (const [i, [channel, y, x]] of expected.settings.sample_positions.entries()) {
        const value = values[(channel * height + y) * width + x]!;
        // The samples have six digits.
        assert.ok(Math.abs(value - pil.pixel_values.samples[i]!) <= 6e-6, `${channel},${y},${x}: ${value}`);
      }

      const rounded = Int32Array.from(values, (value) => Math.round(value * 10_000));
      assert.equal(sha256(new Uint8Array(rounded.buffer)), pil.pixel_values.sha256_rounded);

      const results = await (await session).run({ pixel_values: new Tensor('float32', values, [1, 3, height, width]) });
      const logits = results.logits!.data as Float32Array;
      for (const [i, logit] of pil.logits.entries()) {
        assert.ok(Math.abs(logits[i]! - logit) <= 1e-3, `logit ${i}: ${logits[i]}, expected ${logit}`);
      }
      const top = logits.indexOf(Math.max(...logits));
      assert.equal(top, pil.top5[0]!.index);
      assert.equal(settings.labels?.[top], pil.top5[0]!.label);
    });
  }
}
