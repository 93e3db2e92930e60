/** Elements in an array of a fixed type. */
type Elements = Float32Array | Int8Array | Uint8Array;

/** Side of the squares that are transposed one at a time, so that reads and writes stay in the CPU's cache. */
const SQUARE = 64;

/** Transposes each of `count` matrices of `rows` and `columns`, one after the other in `values`. */
export function transposeMatrices<T extends Elements>(values: T, count: number, rows: number, columns: number): T {
  const result = new (values.constructor as new (length: number) => T)(values.length);
  for (let matrix = 0; matrix < count; matrix++) {
    const base = matrix * rows * columns;
    for (let top = 0; top < rows; top += SQUARE) {
      const bottom = Math.min(top + SQUARE, rows);
      for (let left = 0; left < columns; left += SQUARE) {
        const right = Math.min(left + SQUARE, columns);
        for (let row = top; row < bottom; row++) {
          for (let column = left; column < right; column++) {
            result[base + column * rows + row] = values[base + row * columns + column]!;
          }
        }
      }
    }
  }
  return result;
}
