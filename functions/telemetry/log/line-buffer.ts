import type { WriteSome } from './stdout.ts';

export interface LineBufferOptions {
  /** Bytes held for a reader that does not keep up. Beyond, whole lines are dropped. Default 1 MiB. */
  limit?: number;
  /** Makes the line that reports `count` dropped ones, written once the buffer has drained. */
  notice: (count: number) => string;
}

export interface LineBuffer {
  /** Takes one line, newline included. False where it is dropped: there is no room, or the reader has gone. */
  add(line: string): boolean;
  /** Bytes that are not written yet. */
  bytes(): number;
  /** Lines dropped since the start. */
  dropped(): number;
  /** Writes until all is written, or the reader takes no more: then `some` was written before that, or `none`. */
  writeAll(): 'all' | 'some' | 'none';
}

const CHUNK = 64 * 1024;

/** Holds lines for a writer that may be unable to take them. Order is kept; a line is written whole or not at all. */
export function createLineBuffer(write: WriteSome, options: LineBufferOptions): LineBuffer {
  const { notice, limit = 1024 * 1024 } = options;
  let lines: string[] = [];
  let lineBytes = 0;
  // What is being written: some whole lines, of which the first `offset` bytes are out.
  let chunk = Buffer.alloc(0);
  let chunkLines = 0;
  let offset = 0;
  /** An error cut a line short: the next one must not be written behind it. */
  let partialLine = false;
  /** The reader has gone. */
  let closed = false;
  let dropped = 0;
  /** Dropped lines that no notice has reported yet. */
  let unreported = 0;

  const bytes = () => lineBytes + chunk.length - offset;

  function drop(count: number): void {
    dropped += count;
    unreported += count;
  }

  function append(line: string, size: number): void {
    lines.push(line);
    lineBytes += size;
  }

  function add(line: string): boolean {
    const size = Buffer.byteLength(line);
    const fits = !closed && bytes() + size <= limit;
    if (fits) append(line, size);
    else drop(1);
    return fits;
  }

  function nextChunk(): boolean {
    if (lines.length === 0 && unreported > 0 && !closed) {
      const line = notice(unreported);
      unreported = 0;
      append(line, Buffer.byteLength(line));
    }
    if (lines.length === 0) return false;
    let size = 0;
    chunkLines = 0;
    while (chunkLines < lines.length && size < CHUNK) size += lines[chunkLines++]!.length;
    const text = lines.slice(0, chunkLines).join('');
    lines = lines.slice(chunkLines);
    lineBytes -= Buffer.byteLength(text);
    chunk = Buffer.from(partialLine ? `\n${text}` : text);
    offset = 0;
    partialLine = false;
    return true;
  }

  /** EPIPE is for good. Anything else (a full disk) costs the lines held; later ones are tried again. */
  function fail(error: NodeJS.ErrnoException): void {
    closed = error.code === 'EPIPE';
    partialLine = offset > 0 && chunk[offset - 1] !== 0x0a;
    drop(chunkLines + lines.length);
    lines = [];
    lineBytes = 0;
    offset = chunk.length;
  }

  function writeAll(): 'all' | 'some' | 'none' {
    let written: 'some' | 'none' = 'none';
    while (offset < chunk.length || nextChunk()) {
      try {
        offset += write(chunk, offset);
        written = 'some';
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return written;
        fail(error as NodeJS.ErrnoException);
        return 'all';
      }
    }
    return 'all';
  }

  return { add, bytes, dropped: () => dropped, writeAll };
}
