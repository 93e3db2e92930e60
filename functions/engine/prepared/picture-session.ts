import { fixedSize } from '../../pictures/geometry.ts';
import { normalise, type PixelType } from '../../pictures/normalise.ts';
import { CHANNELS } from '../../pictures/pixels.ts';
import type { TensorSpec } from '../../tensor/tensor.ts';
import type { Session } from '../process/session.ts';
import type { PicturePreparation } from './preparation.ts';

type Layout = NonNullable<PicturePreparation['layout']>;

/** The dimensions of each layout after the rows. */
const AXES = { NCHW: { channels: 1, height: 2, width: 3 }, NHWC: { height: 1, width: 2, channels: 3 } } as const;
const TYPES: readonly string[] = ['float32', 'float16', 'uint8'] satisfies PixelType[];

/**
 * A session whose only input is `pixels`, uint8 [rows, height, width, 3]: the model's own values are made from it in each run.
 * @throws Error if the model's input does not take the pictures that `preparation` makes
 */
export function pictureSession(session: Session, preparation: PicturePreparation): Session {
  const { geometry, normalisation } = preparation.settings;
  const [input, ...others] = session.signature.inputs;
  if (input === undefined || others.length > 0) {
    const names = session.signature.inputs.map(({ name }) => name).join(', ');
    throw new Error(`the model has the inputs ${names}: expected one, for pictures`);
  }
  const { name, dtype, shape } = input;
  if (!TYPES.includes(dtype)) throw new Error(`input ${name} is ${dtype}: pictures are given as ${TYPES.join(', ')}`);
  const size = fixedSize(geometry);
  if (size === undefined) {
    throw new Error(
      `input ${name}: pictures would have several sizes: expected a size with height and width, a crop_size or a pad_size`,
    );
  }
  const layout = layoutOf(input, preparation.layout);
  checkSize(input, layout, size);
  const dims = layout === 'NCHW' ? [CHANNELS, size.height, size.width] : [size.height, size.width, CHANNELS];
  const pixels = {
    name: 'pixels',
    dtype: 'uint8',
    shape: [shape[0] ?? -1, size.height, size.width, CHANNELS],
  } as const;

  return {
    ...session,
    signature: { ...session.signature, inputs: [pixels] },
    async run([feed]) {
      const type = dtype as PixelType;
      const data = normalise(feed!.data as Uint8Array, size, normalisation, layout, type);
      try {
        return await session.run([{ slot: 0, dtype: type, dims: [feed!.dims[0]!, ...dims], data }]);
      } finally {
        // An engine allocates so little that the garbage collector may never run.
        (data.buffer as ArrayBuffer).transfer(0);
      }
    },
  };
}

/** The layout from the shape: the place of 3 channels, or of an axis that exporters name after them. */
function layoutOf({ name, shape, anyRank, dimNames }: TensorSpec, given: Layout | undefined): Layout {
  if (anyRank !== true && shape.length !== 4) {
    throw new Error(
      `input ${name} has the shape [${shape}]: expected 4 dimensions, for rows, channels, height and width`,
    );
  }
  if (given !== undefined) return given;
  const isChannels = (axis: number): boolean =>
    shape[axis] === CHANNELS || (shape[axis] === -1 && /channel/i.test(dimNames?.[axis] ?? ''));
  const found = (['NCHW', 'NHWC'] as const).filter((layout) => isChannels(AXES[layout].channels));
  if (found.length === 1) return found[0]!;
  const what = found.length === 0 ? 'no dimension is known to be the 3 channels' : 'the channels may be first or last';
  throw new Error(
    `input ${name} has the shape [${shape}]: ${what}. Set input.image.layout of model.json to "NCHW" or "NHWC"`,
  );
}

function checkSize({ name, shape }: TensorSpec, layout: Layout, size: { width: number; height: number }): void {
  const expected = { ...size, channels: CHANNELS };
  for (const [side, axis] of Object.entries(AXES[layout]) as [keyof typeof expected, number][]) {
    const own = shape[axis] ?? -1;
    if (own === -1 || own === expected[side]) continue;
    throw new Error(
      `input ${name} has the shape [${shape}], with a ${side} of ${own} as ${layout}: pictures are prepared as ` +
        `${size.height} x ${size.width} (height x width) with ${CHANNELS} channels. Correct the sizes, or input.image.layout of model.json`,
    );
  }
}
