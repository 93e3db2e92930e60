/** Bodies of more bytes are long: the memory for reading them is counted, and shorter bodies are read first. */
export const LONG_BYTES = 2 ** 21;
/**
 * Memory that a body takes while it is read, as a multiple of its bytes. Measured for `1,1,1,…`, two bytes for each number: 8.5
 * with a float32 tensor, 10.5 with a float64 tensor. A number is first a double, in an array that grows by copying, and then an
 * element.
 */
const READING_FACTOR = 10;
/** The same of the tensors that were read: twice 4 bytes for two, here and in the frame to an engine process. */
const RESULT_FACTOR = 4;
/** The part of the process's memory for reading. Arriving bodies take up to a quarter, engine processes and the rest another. */
const SHARE = 1 / 2;

/** The size and memory of a body. */
interface Counted {
  /** Bytes. */
  readonly size: number;
  /** Bytes that it is expected to take in memory now; 0 at first. */
  memory: number;
}

/** Counts the memory that long bodies are expected to take: those that are being read, and the values of those that were. */
export class ReadingMemory {
  readonly #total: number;
  #expected = 0;

  /** @param memoryBytes bytes that the process may use; undefined without a limit. */
  constructor(memoryBytes: number | undefined) {
    this.#total = memoryBytes === undefined ? Number.POSITIVE_INFINITY : memoryBytes * SHARE;
  }

  /** Whether another body of so many bytes can be read: always, if no other is counted. */
  fits(bytes: number): boolean {
    return this.#expected === 0 || this.#expected + READING_FACTOR * bytes <= this.#total;
  }

  /** Counts a body that a thread begins to read. */
  startReading(body: Counted): void {
    this.#expect(body, READING_FACTOR);
  }

  /** Counts the value of a body that was read, instead of the reading. */
  keepResult(body: Counted): void {
    this.#expect(body, RESULT_FACTOR);
  }

  /** Counts the body no longer. */
  release(body: Counted): void {
    this.#expect(body, 0);
  }

  #expect(body: Counted, factor: number): void {
    const memory = body.size > LONG_BYTES ? factor * body.size : 0;
    this.#expected += memory - body.memory;
    body.memory = memory;
  }
}
