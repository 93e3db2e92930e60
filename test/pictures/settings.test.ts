import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPictureSettings } from '../../functions/pictures/settings.ts';

const MODELS = join(import.meta.dirname, '../assets/refs/models');
const read = (model: string, file: string): string => readFileSync(join(MODELS, model, file), 'utf8');
const settingsOf = (given: object, config?: object): ReturnType<typeof readPictureSettings> =>
  readPictureSettings({
    preprocessor: JSON.stringify(given),
    config: config === undefined ? undefined : JSON.stringify(config),
  });

test('the settings of a ResNet export: shortest edge, centre crop, labels with commas', () => {
  const model = 'image-classifier-resnet';
  const { geometry, normalisation, labels, sources } = readPictureSettings({
    preprocessor: read(model, 'preprocessor_config.json'),
    config: read(model, 'config.json'),
  });
  assert.deepEqual(geometry, {
    resize: { size: { kind: 'shortest', edge: 256, longest: undefined }, filter: 'bicubic' },
    crop: { width: 224, height: 224 },
    pad: undefined,
  });
  assert.deepEqual(normalisation.mean, [0.485, 0.456, 0.406]);
  assert.equal(labels?.length, 10);
  assert.equal(labels?.[6], 'table lamp, reading lamp');
  assert.equal(sources.size, 'preprocessor_config.json: size');
  assert.equal(sources.do_pad, 'default');
  assert.equal(sources.labels, 'config.json: id2label');
});

test('one number is a square for a ViT, and the shortest edge for a CLIP', () => {
  const size = (image_processor_type: string): unknown =>
    settingsOf({ image_processor_type, size: 224 }).geometry.resize?.size;
  assert.deepEqual(size('ViTImageProcessor'), { kind: 'exact', width: 224, height: 224 });
  assert.deepEqual(size('ViTFeatureExtractor'), { kind: 'exact', width: 224, height: 224 });
  assert.deepEqual(size('CLIPImageProcessor'), { kind: 'shortest', edge: 224 });
});

test('a ConvNeXt resizes by crop_pct and crops below 384, and squeezes from there on', () => {
  const geometry = (shortest_edge: number): unknown =>
    settingsOf({
      image_processor_type: 'ConvNextImageProcessor',
      size: { shortest_edge },
      crop_pct: 0.875,
      resample: 3,
    }).geometry;
  assert.deepEqual(geometry(224), {
    resize: { size: { kind: 'shortest', edge: 256 }, filter: 'bicubic' },
    crop: { width: 224, height: 224 },
  });
  assert.deepEqual(geometry(384), { resize: { size: { kind: 'exact', width: 384, height: 384 }, filter: 'bicubic' } });
});

test('steps that are off are left out', () => {
  const { geometry, normalisation } = settingsOf({ do_resize: false, do_rescale: false, do_normalize: false });
  assert.deepEqual(geometry, { crop: undefined });
  assert.deepEqual(normalisation, { scale: 1, mean: [0, 0, 0], std: [1, 1, 1], order: 'RGB' });
});

test('do_pad pads the longest edge to a square', () => {
  const { geometry } = settingsOf({ size: { longest_edge: 512 }, do_pad: true });
  assert.deepEqual(geometry.pad, { width: 512, height: 512 });
});

const WRONG: [title: string, given: object, config: object | undefined, message: RegExp][] = [
  ['a size that is text', { size: '224' }, undefined, /^preprocessor_config\.json: size: expected a number of pixels/],
  ['no size', {}, undefined, /^preprocessor_config\.json: size: is missing$/],
  ['a crop without its size', { size: 9, do_center_crop: true }, undefined, /crop_size: is missing$/],
  ['two means', { size: 9, image_mean: [0, 1] }, undefined, /image_mean: expected a number, or 3 numbers/],
  [
    'a deviation of 0',
    { size: 9, image_mean: 0, image_std: 0 },
    undefined,
    /image_std: expected numbers other than 0$/,
  ],
  ['an unknown filter', { size: 9, resample: 6 }, undefined, /^preprocessor_config\.json: resample: /],
  ['crop_pct elsewhere', { size: 9, crop_pct: 0.9 }, undefined, /crop_pct: is not known for this processor$/],
  [
    'a gap in the labels',
    { size: 9 },
    { id2label: { 0: 'a', 2: 'c' } },
    /^config\.json: id2label: class 1 of 2 is missing$/,
  ],
  ['one channel', { size: 9 }, { num_channels: 1 }, /^config\.json: num_channels: 1 channels/],
];

for (const [title, given, config, message] of WRONG) {
  test(`${title}: the error names the file and the field`, () => {
    assert.throws(() => settingsOf(given, config), { name: 'ServingError', code: 'MODEL_FAILED', message });
  });
}

test('a file that is not JSON is named', () => {
  assert.throws(() => readPictureSettings({ preprocessor: '{' }), {
    message: /^preprocessor_config\.json is not JSON: /,
  });
});
