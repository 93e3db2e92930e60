import { createRandom, type Random } from './random.ts';

/** Side of an image in pixels, and number of classes. */
export const SIDE = 28;
export const CLASSES = 10;
export const PIXELS = SIDE * SIDE;

/** Images with their classes: `pixels` is [count, PIXELS] row-major, from 0 to 1. */
export interface LabelledImages {
  readonly count: number;
  readonly pixels: Float32Array<ArrayBuffer>;
  readonly labels: Uint8Array<ArrayBuffer>;
}

/** How far a class's drawing is moved, how strong another class shines through, and the noise of each pixel. */
const SHIFT = 2;
const GHOST = 0.45;
const NOISE = 0.25;

/**
 * A synthetic task in place of written digits: each class is a drawing of strokes, and an image is that drawing, moved, darker or
 * brighter, under a fainter one of another class, and with noise. A model that is trained on it errs for a few rows in a hundred,
 * and has rows that are close calls.
 */
export function createImages(seed: number): (count: number) => LabelledImages {
  const random = createRandom(seed);
  const drawings = Array.from({ length: CLASSES }, () => draw(random));
  return (count) => {
    const pixels = new Float32Array(count * PIXELS);
    const labels = new Uint8Array(count);
    for (let row = 0; row < count; row++) {
      const label = random.integer(CLASSES);
      labels[row] = label;
      const image = pixels.subarray(row * PIXELS, (row + 1) * PIXELS);
      addDrawing(image, drawings[label]!, 0.6 + 0.4 * random.uniform(), random);
      addDrawing(image, drawings[random.integer(CLASSES)]!, GHOST * random.uniform(), random);
      for (let i = 0; i < PIXELS; i++) image[i] = Math.min(1, Math.max(0, image[i]! + NOISE * random.normal()));
    }
    return { count, pixels, labels };
  };
}

/** Five strokes, each a short line of soft dots. */
function draw(random: Random): Float32Array {
  const drawing = new Float32Array(PIXELS);
  for (let stroke = 0; stroke < 5; stroke++) {
    const [fromX, fromY, toX, toY] = Array.from({ length: 4 }, () => 4 + random.uniform() * (SIDE - 8));
    for (let step = 0; step <= 10; step++) {
      const x = fromX! + ((toX! - fromX!) * step) / 10;
      const y = fromY! + ((toY! - fromY!) * step) / 10;
      for (let i = 0; i < PIXELS; i++) {
        const distance = ((i % SIDE) - x) ** 2 + (Math.floor(i / SIDE) - y) ** 2;
        drawing[i] = Math.max(drawing[i]!, Math.exp(-distance / 1.5));
      }
    }
  }
  return drawing;
}

function addDrawing(image: Float32Array, drawing: Float32Array, strength: number, random: Random): void {
  const shift = (): number => random.integer(2 * SHIFT + 1) - SHIFT;
  const [dx, dy] = [shift(), shift()];
  for (let y = Math.max(0, dy); y < Math.min(SIDE, SIDE + dy); y++) {
    for (let x = Math.max(0, dx); x < Math.min(SIDE, SIDE + dx); x++) {
      image[y * SIDE + x]! += strength * drawing[(y - dy) * SIDE + x - dx]!;
    }
  }
}
