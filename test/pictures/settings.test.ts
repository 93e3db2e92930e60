import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type PictureChoices, readPictureSettings } from '../../functions/pictures/settings.ts';

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

const WRONG: [title: string, given: object, config: object | undefined, message: RegExp, code?: string][] = [
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
  ['one channel', { size: 9 }, { num_channels: 1 }, /^config\.json: num_channels: 1 channels/, 'UNSUPPORTED'],
  ['sound', { sampling_rate: 16000 }, undefined, /sampling_rate: the model is for sound$/, 'UNSUPPORTED'],
];

for (const [title, given, config, message, code = 'MODEL_FAILED'] of WRONG) {
  test(`${title}: the error names the file and the field`, () => {
    assert.throws(() => settingsOf(given, config), { name: 'ServingError', code, message });
  });
}

test('a file that is not JSON is named', () => {
  assert.throws(() => readPictureSettings({ preprocessor: '{' }), {
    message: /^preprocessor_config\.json is not JSON: /,
  });
});

const RESNET = {
  preprocessor: read('image-classifier-resnet', 'preprocessor_config.json'),
  config: read('image-classifier-resnet', 'config.json'),
};

test('a size of model.json replaces all of the geometry of the file, and nothing else', () => {
  const { geometry, normalisation, sources } = readPictureSettings(RESNET, { size: 160 });
  const exact = { kind: 'exact', width: 160, height: 160 };
  assert.deepEqual(geometry, { resize: { size: exact, filter: 'bicubic' }, crop: undefined });
  assert.deepEqual(normalisation, readPictureSettings(RESNET).normalisation);
  assert.equal(sources.size, 'model.json: input.image.size');
  assert.equal(sources.image_mean, 'preprocessor_config.json: image_mean');
});

test('a size with a crop is the shortest edge, as torchvision has it; longest pads to a square', () => {
  const geometry = (choices: PictureChoices) => readPictureSettings({}, choices).geometry;
  assert.deepEqual(geometry({ size: 256, crop: 224 }), {
    resize: { size: { kind: 'shortest', edge: 256 }, filter: 'bilinear' },
    crop: { width: 224, height: 224 },
    pad: undefined,
  });
  assert.deepEqual(geometry({ size: 64, resize: 'longest', filter: 'lanczos' }), {
    resize: { size: { kind: 'longest', edge: 64 }, filter: 'lanczos' },
    crop: undefined,
    pad: { width: 64, height: 64 },
  });
  assert.deepEqual(geometry({ width: 320, height: 240 }).resize?.size, { kind: 'exact', width: 320, height: 240 });
});

test('without a file of the export, values are 0 to 1 and RGB, unless model.json says otherwise', () => {
  assert.deepEqual(readPictureSettings({}, { size: 8 }).normalisation, {
    scale: 1 / 255,
    mean: [0, 0, 0],
    std: [1, 1, 1],
    order: 'RGB',
  });
  const { normalisation, sources } = readPictureSettings(
    {},
    { size: 8, scale: 1, mean: [1, 2, 3], std: 4, order: 'BGR' },
  );
  assert.deepEqual(normalisation, { scale: 1, mean: [1, 2, 3], std: [4, 4, 4], order: 'BGR' });
  assert.deepEqual(
    [sources.rescale_factor, sources.image_std, sources.do_flip_channel_order],
    ['scale', 'std', 'order'].map((name) => `model.json: input.image.${name}`),
  );
});

test('a crop, a filter or a mean of model.json replaces that one value', () => {
  const { geometry, normalisation } = readPictureSettings(RESNET, {
    crop: { width: 9, height: 8 },
    filter: 'nearest',
    mean: 0.5,
  });
  assert.deepEqual(geometry.crop, { width: 9, height: 8 });
  assert.deepEqual(geometry.resize, { size: { kind: 'shortest', edge: 256, longest: undefined }, filter: 'nearest' });
  assert.deepEqual(
    [normalisation.mean, normalisation.std],
    [
      [0.5, 0.5, 0.5],
      [0.229, 0.224, 0.225],
    ],
  );
});

test('without a file of the export model.json has a size, and a deviation is not 0', () => {
  assert.throws(() => readPictureSettings({}), {
    message:
      'model.json: input.image.size: is missing, and there is no preprocessor_config.json: give it, or width and height',
  });
  assert.throws(() => readPictureSettings({}, { size: 8, std: [1, 0, 1] }), {
    message: 'model.json: input.image.std: expected numbers other than 0',
  });
});

test('the labels are those of a classifier, or the classes of model.json', () => {
  const labelsOf = (architecture: string, labels?: string[]) =>
    readPictureSettings(
      { config: JSON.stringify({ architectures: [architecture], id2label: { 0: 'LABEL_0', 1: 'LABEL_1' } }) },
      { size: 8, labels },
    ).labels;
  assert.equal(labelsOf('ViTModel'), undefined);
  assert.deepEqual(labelsOf('ViTForImageClassification'), ['LABEL_0', 'LABEL_1']);
  assert.deepEqual(labelsOf('ViTForImageClassification', ['cat', 'dog']), ['cat', 'dog']);
});
