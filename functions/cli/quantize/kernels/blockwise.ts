export interface BlockOptions {
  readonly bits: 4 | 8;
  /** Elements with one scale: a power of two, 16 or more. */
  readonly blockSize: number;
  /** One zero point for all blocks, 2^(bits - 1), which is not stored. Otherwise each block has its own. */
  readonly isSymmetric: boolean;
}

/** A matrix of `k` rows and `n` columns; `isTransposed`: its elements are in the order of the columns. */
export interface MatrixLayout {
  readonly k: number;
  readonly n: number;
  readonly isTransposed?: boolean;
}

/** The inputs B, scales and zero_points of the operator com.microsoft.MatMulNBits. */
export interface BlockQuantized {
  /** [n, blocks of a column, blockSize * bits / 8]: with 4 bits the first of two elements is in the low half of a byte. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** [n, blocks of a column] */
  readonly scales: Float32Array<ArrayBuffer>;
  /** [n, bytes of a column], packed as the data; undefined for a symmetric quantization. */
  readonly zeroPoints: Uint8Array<ArrayBuffer> | undefined;
}

/**
 * Quantizes a matrix in blocks of consecutive elements of a column, as `quantize_matmul_4bits` and `quantize_matmul_8bits` of
 * onnxruntime (`MlasQuantizeBlockwise`) do: float32 arithmetic, ties away from zero.
 * @throws RangeError for an element that is NaN or infinite
 */
export function quantizeBlocks(
  values: Float32Array,
  { k, n, isTransposed = false }: MatrixLayout,
  { bits, blockSize, isSymmetric }: BlockOptions,
): BlockQuantized {
  const blocks = Math.ceil(k / blockSize);
  const perByte = 8 / bits;
  const blockBytes = blockSize / perByte;
  const middle = 1 << (bits - 1);
  const columnZeroBytes = Math.ceil(blocks / perByte);
  const data = new Uint8Array(n * blocks * blockBytes);
  const scales = new Float32Array(n * blocks);
  const zeroPoints = isSymmetric
    ? undefined
    : new Uint8Array(n * columnZeroBytes).fill(bits === 4 ? middle | (middle << 4) : middle);
  const [rowStep, columnStep] = isTransposed ? [1, k] : [n, 1];
  const quantizeOne = isSymmetric ? symmetricBlock : asymmetricBlock;

  for (let block = 0; block < blocks; block++) {
    const first = block * blockSize;
    const count = Math.min(blockSize, k - first);
    for (let column = 0; column < n; column++) {
      const start = first * rowStep + column * columnStep;
      const { scale, zeroPoint } = quantizeOne(values, start, rowStep, count, bits);
      scales[column * blocks + block] = scale;
      if (zeroPoints !== undefined) {
        const at = column * columnZeroBytes + Math.floor(block / perByte);
        const shift = (block % perByte) * bits;
        zeroPoints[at] = (zeroPoints[at]! & ~((2 ** bits - 1) << shift)) | (zeroPoint << shift);
      }
      packBlock(
        values,
        { start, step: rowStep, count },
        { scale, zeroPoint, bits },
        data,
        (column * blocks + block) * blockBytes,
      );
    }
  }
  return { data, scales, zeroPoints };
}

type BlockParameters = { scale: number; zeroPoint: number };

/** The range of a block with 0 in it becomes 0 to 2^bits - 1. */
function asymmetricBlock(
  values: Float32Array,
  start: number,
  step: number,
  count: number,
  bits: number,
): BlockParameters {
  const [low, high] = blockRange(values, start, step, count);
  const min = Math.min(low, 0);
  const max = Math.max(high, 0);
  const top = 2 ** bits - 1;
  const scale = Math.fround(Math.fround(max - min) / top);
  if (scale === 0) return { scale, zeroPoint: 0 };
  return { scale, zeroPoint: Math.min(top, Math.round(Math.fround(-min / scale))) };
}

/** The element of the largest magnitude becomes 0, the integer farthest from the zero point: its scale may be negative. */
function symmetricBlock(
  values: Float32Array,
  start: number,
  step: number,
  count: number,
  bits: number,
): BlockParameters {
  const [low, high] = blockRange(values, start, step, count);
  const middle = 2 ** (bits - 1);
  return { scale: Math.fround(-(Math.abs(high) > Math.abs(low) ? high : low) / middle), zeroPoint: middle };
}

function blockRange(values: Float32Array, start: number, step: number, count: number): [min: number, max: number] {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let check = 0;
  for (let i = 0, at = start; i < count; i++, at += step) {
    const value = values[at]!;
    check += value * 0;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (check !== 0) throw new RangeError('an element is NaN or infinite');
  return [min, max];
}

function packBlock(
  values: Float32Array,
  { start, step, count }: { start: number; step: number; count: number },
  { scale, zeroPoint, bits }: BlockParameters & { bits: number },
  into: Uint8Array,
  offset: number,
): void {
  const top = 2 ** bits - 1;
  const reciprocal = scale === 0 ? 0 : Math.fround(1 / scale);
  for (let i = 0, at = start; i < count; i++, at += step) {
    const product = Math.fround(Math.fround(values[at]! * reciprocal) + zeroPoint);
    // Below 0 both ways of rounding ties are clipped.
    const q = product <= 0 ? 0 : product >= top ? top : Math.floor(product + 0.5);
    if (bits === 8) into[offset + i] = q;
    else into[offset + (i >> 1)]! |= q << ((i & 1) * 4);
  }
}
