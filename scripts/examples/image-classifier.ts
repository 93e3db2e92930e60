import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initializer, model, value } from '../../functions/onnx/proto/build.ts';
import { type ConvNet, scoresOf } from './conv-net.ts';
import { BLACK, type Digit, indexOfMaximum, SIDE, type TrainedDigits } from './digits.ts';
import { rounded, writeModel } from './files.ts';
import { layerNodes, layerWeights, layerWidth, named } from './net-graph.ts';
import { greyPng } from './png.ts';

const WHITE = 255;
/** The side of the picture that the page of the example sends, in pixels. */
const LARGE = 240;
const SHOWN = 4;

/** Writes the folder of the model, and a picture. @returns its accuracy on the pictures that it was not trained on */
export function makeImageClassifier(folder: string, { net, others, shown }: TrainedDigits): string {
  const scores = (digit: Digit) => scoresOf(net, ink(levelsOf(digit)));
  const right = others.filter((digit) => indexOfMaximum(scores(digit)) === digit.label).length;
  writeModel(folder, {
    model: toOnnx(net),
    manifest: {
      description: 'A picture of a handwritten digit, dark on white.',
      input: { image: { size: SIDE, filter: 'box' } },
      output: { activation: 'softmax', top: 3 },
      classes: shown.map(({ label }) => String(label)),
    },
    golden: shown.map((digit) => {
      const picture = greyPng(SIDE, SIDE, levelsOf(digit)).toString('base64');
      return { features: picture, outputs: { logits: scores(digit).map(rounded) } };
    }),
  });
  writeFileSync(join(folder, 'four.png'), greyPng(LARGE, LARGE, enlarged(levelsOf(shown[SHOWN]!))));
  return `image-classifier: accuracy ${(right / others.length).toFixed(3)} on ${others.length} other pictures`;
}

/** [8, 8], from 0 (black) to 255 (white). */
const levelsOf = ({ pixels }: Digit): Uint8Array =>
  Uint8Array.from(pixels, (pixel) => WHITE - Math.round((pixel * WHITE) / BLACK));

/** What the graph makes of a picture before its layers. */
const ink = (levels: Uint8Array): Float64Array => Float64Array.from(levels, (level) => 1 - level / WHITE);

/** A picture of {@link LARGE} pixels a side, bilinear. */
function enlarged(levels: Uint8Array): Uint8Array {
  const at = (x: number, y: number) => levels[y * SIDE + x]!;
  const places = Array.from({ length: LARGE }, (_, i) => {
    const place = Math.min(Math.max(((i + 0.5) * SIDE) / LARGE - 0.5, 0), SIDE - 1);
    const before = Math.min(Math.floor(place), SIDE - 2);
    return { before, share: place - before };
  });
  return Uint8Array.from(
    places.flatMap((y) =>
      places.map((x) => {
        const row = (dy: number) =>
          at(x.before, y.before + dy) * (1 - x.share) + at(x.before + 1, y.before + dy) * x.share;
        return Math.round(row(0) * (1 - y.share) + row(1) * y.share);
      }),
    ),
  );
}

/** As `torch.onnx.export(dynamo=True)` writes the module of examples/image-classifier/export.py. */
function toOnnx(net: ConvNet): Uint8Array {
  return model({
    name: 'main_graph',
    producer: 'pytorch',
    opset: 18,
    irVersion: 10,
    nodes: [
      named(0, 'ReduceMean', ['pixel_values', 'channels'], ['mean'], { noop_with_empty_axes: 0n, keepdims: 1n }),
      named(1, 'Sub', ['white', 'mean'], ['rsub']),
      ...layerNodes('pixel_values', 'rsub', 'logits', 2),
    ],
    initializers: [
      ...layerWeights(net),
      initializer('channels', 'int64', [1], [1]),
      initializer('white', 'float32', [], [1]),
      layerWidth(net),
    ],
    inputs: [value('pixel_values', 'float32', ['batch', 3, SIDE, SIDE])],
    outputs: [value('logits', 'float32', ['batch', 10])],
  });
}
