/** Bodies above this size are long: what reading them takes counts, and others go before them. */
export const LONG_BYTES = 2 ** 21;
/**
 * Memory that a body takes while it is read, in its own bytes. Measured for `1,1,1,…`, two bytes a number: 8.5 with a float32
 * tensor, 10.5 with a float64 tensor. A number is a double first, in an array that has grown by copying, and then an element.
 */
const READING_FACTOR = 10;
/** The same of the tensors that were read, here and on their way to an engine process: twice 4 bytes for two. */
const RESULT_FACTOR = 4;
/** Of the memory of the process. Bodies as they arrive take up to a quarter, engine processes and the rest of the server another. */
const SHARE = 1 / 2;

/** A body as far as its memory is concerned. */
interface Counted {
  /** Bytes. */
  readonly size: number;
  /** Bytes that it is expected to take in memory now; 0 at first. */
  memory: number;
}

/** What the long bodies that are being read, and the results of others, are expected to take in memory together. */
export class ReadingMemory {
  readonly #total: number;
  #expected = 0;

  /** @param memoryBytes what the process may use; undefined where nothing limits it. */
  constructor(memoryBytes: number | undefined) {
    this.#total = memoryBytes === undefined ? Number.POSITIVE_INFINITY : memoryBytes * SHARE;
  }

  /** Whether another body of so many bytes can be read; one always can. */
  fits(bytes: number): boolean {
    return this.#expected === 0 || this.#expected + READING_FACTOR * bytes <= this.#total;
  }

  startReading(body: Counted): void {
    this.#expect(body, READING_FACTOR);
  }

  keepResult(body: Counted): void {
    this.#expect(body, RESULT_FACTOR);
  }

  release(body: Counted): void {
    this.#expect(body, 0);
  }

  #expect(body: Counted, factor: number): void {
    const memory = body.size > LONG_BYTES ? factor * body.size : 0;
    this.#expected += memory - body.memory;
    body.memory = memory;
  }
}
