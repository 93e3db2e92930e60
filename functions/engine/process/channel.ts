import type { Duplex } from 'node:stream';
import { type Frame, HEADER_BYTES, MAX_FRAME_BYTES } from './frame.ts';

/** The serving process's end of the socket to one engine process. */
interface Channel {
  /** Writes the chunks of one frame, with one system call if the socket accepts them at once. */
  send(chunks: readonly Uint8Array[]): void;
  /** Closes the socket: the engine reads an end of file, and exits. */
  close(): void;
}

/**
 * Splits the bytes that the engine writes into frames.
 * @param onFrame called with each complete frame. Its memory is not reused, so views of it stay valid. It throws if the frame is
 * invalid.
 * @param onInvalid called once, with the reason, when the bytes are not valid frames. Nothing is read after that.
 */
export function openChannel(
  socket: Duplex,
  onFrame: (frame: Frame) => void,
  onInvalid: (reason: string) => void = () => {},
): Channel {
  let pending: Buffer | undefined;
  let filled = 0;

  function take(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (pending === undefined) {
        // A socket delivers a frame of up to 64 KiB in one chunk, at offset 0 of its own memory; such a frame needs no copy.
        const bytes = rest.length >= HEADER_BYTES ? lengthOf(rest) : 0;
        if (bytes !== 0 && bytes <= rest.length && rest.byteOffset % 8 === 0) {
          onFrame(parse(rest.subarray(0, bytes)));
          rest = rest.subarray(bytes);
          continue;
        }
        pending = Buffer.allocUnsafeSlow(Math.max(bytes, HEADER_BYTES));
        filled = 0;
      }
      const copied = rest.copy(pending, filled, 0, pending.length - filled);
      filled += copied;
      rest = rest.subarray(copied);
      if (filled === pending.length) complete();
    }
  }

  function complete(): void {
    const frame = pending!;
    const bytes = lengthOf(frame);
    if (frame.length < bytes) {
      pending = Buffer.allocUnsafeSlow(bytes);
      frame.copy(pending);
      return;
    }
    pending = undefined;
    onFrame(parse(frame));
  }

  function receive(chunk: Buffer): void {
    try {
      take(chunk);
    } catch (error) {
      socket.off('data', receive);
      socket.resume();
      onInvalid((error as Error).message);
    }
  }

  socket.on('data', receive);
  return {
    send(chunks) {
      if (chunks.length === 1) {
        socket.write(chunks[0]);
        return;
      }
      socket.cork();
      for (const chunk of chunks) socket.write(chunk);
      socket.uncork();
    },
    close: () => socket.destroy(),
  };
}

/** The length of a frame, from its header. @throws RangeError for one that no frame has */
function lengthOf(header: Buffer): number {
  const bytes = header.readUInt32LE(0);
  if (bytes >= HEADER_BYTES && bytes <= MAX_FRAME_BYTES && bytes % 8 === 0) return bytes;
  throw new RangeError(`its length is ${bytes}, not a multiple of 8 from ${HEADER_BYTES} to ${MAX_FRAME_BYTES}`);
}

function parse(bytes: Buffer): Frame {
  return {
    kind: bytes.readUInt32LE(4),
    id: bytes.readUInt32LE(8),
    count: bytes.readUInt32LE(12),
    body: bytes.subarray(HEADER_BYTES),
  };
}
