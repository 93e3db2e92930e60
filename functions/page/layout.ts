const SMALLEST = 8;
const LARGEST = 1024;

interface Layout {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Whether the channels are the first dimension. */
  readonly first: boolean;
}

/** How a tensor of this shape is a picture: height and width, with one or three channels before or after them. */
export function layoutOf(shape: readonly number[]): Layout | undefined {
  const isSide = (dim: number): boolean => dim >= SMALLEST && dim <= LARGEST;
  const isColour = (dim: number): boolean => dim === 1 || dim === 3;
  const [a = 0, b = 0, c = 0] = shape;
  if (shape.length === 2 && isSide(a) && isSide(b)) return { height: a, width: b, channels: 1, first: true };
  if (shape.length !== 3) return undefined;
  if (isColour(a) && isSide(b) && isSide(c)) return { height: b, width: c, channels: a, first: true };
  return isColour(c) && isSide(a) && isSide(b) ? { height: a, width: b, channels: c, first: false } : undefined;
}
