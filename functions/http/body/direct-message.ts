// An `import` of node:http reads each of its exports, and one of them loads all of fetch: 20 ms of a cold start.
const { IncomingMessage } = process.getBuiltinModule('node:http');

/** Takes each piece of a body as it comes off the socket, and `null` at its end. */
type Sink = (piece: Buffer | null) => void;

/**
 * A request whose body can be passed to one function instead of a stream. Node's HTTP parser pushes what it reads into the
 * request as into any readable stream; for a body of one piece the stream's bookkeeping takes longer than parsing the row.
 */
export class DirectMessage extends IncomingMessage {
  #sink: Sink | undefined;

  /**
   * Passes the body to `sink` instead of the stream.
   * @returns false if some of the body has arrived: nothing has changed then, and the body must be read as a stream.
   */
  takeDirectly(sink: Sink): boolean {
    if (this.complete || this.destroyed || this.readableLength > 0) return false;
    this.#sink = sink;
    // Node would otherwise read the body to its end once more, to clear the connection for the next request.
    (this as { _consuming?: boolean })._consuming = true;
    return true;
  }

  /** Passes all further pieces to the stream. */
  release(): void {
    this.#sink = undefined;
  }

  override push(piece: Buffer | null): boolean {
    const sink = this.#sink;
    if (sink === undefined) return super.push(piece);
    // The request lives until the next one on its connection: it must not keep the sink, which references the body.
    if (piece === null) this.#sink = undefined;
    sink(piece);
    return true;
  }
}
