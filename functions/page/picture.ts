import { el } from './dom.ts';
import { layoutOf } from './layout.ts';

/** A picture of a tensor, from its least value in black to its greatest in white; undefined if its shape is not that of one. */
export function pictureOf(
  shape: readonly number[],
  at: (index: number) => number,
  label: string,
): HTMLCanvasElement | undefined {
  const layout = layoutOf(shape);
  if (layout === undefined) return undefined;
  const { height, width, channels, first } = layout;
  const size = height * width;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < size * channels; i++) {
    const value = at(i);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const canvas = el('canvas', { class: 'picture', role: 'img', 'aria-label': label });
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  if (context === null) return undefined;
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < size; i++) {
    for (let colour = 0; colour < 3; colour++) {
      const channel = channels === 1 ? 0 : colour;
      const value = at(first ? channel * size + i : i * channels + channel);
      pixels.data[i * 4 + colour] = high > low ? ((value - low) / (high - low)) * 255 : 128;
    }
    pixels.data[i * 4 + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
