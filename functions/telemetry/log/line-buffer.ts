import type { WriteSome } from './stdout.ts';

/** Limits of a line buffer. */
export interface LineBufferOptions {
  /** Most bytes that are kept for a slow reader; further lines are dropped. Default: 1 MiB. */
  limit?: number;
  /** Makes the line that reports `count` dropped ones; it is written once the buffer is empty. */
  notice: (count: number) => string;
}

interface LineBuffer {
  /** Adds one line, newline included. @returns false if it is dropped: the buffer is full, or the reader has closed its end. */
  add(line: string): boolean;
  /** Bytes that are not written yet. */
  bytes(): number;
  /** Lines dropped since the start. */
  dropped(): number;
  /** Writes until the buffer is empty (`all`) or the reader accepts no more, after `some` bytes or `none`. */
  writeAll(): 'all' | 'some' | 'none';
}

const CHUNK = 64 * 1024;

/** Creates a buffer of lines for a reader that may be slow. Lines keep their order, and are written completely or not at all. */
export function createLineBuffer(write: WriteSome, options: LineBufferOptions): LineBuffer {
  const { notice, limit = 1024 * 1024 } = options;
  let lines: string[] = [];
  let lineBytes = 0;
  // The bytes being written: some complete lines, of which the first `offset` bytes are written.
  let chunk = Buffer.alloc(0);
  let chunkLines = 0;
  let offset = 0;
  /** An error ended a line early: the next one must not be appended to it. */
  let partialLine = false;
  /** The reader has closed its end. */
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

  /** EPIPE is final. After any other error, such as a full disk, the lines in the buffer are dropped; later ones are written. */
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
