import { constants, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Writes some of `bytes` from `offset` on, and returns how many. @throws `EAGAIN` if it would have to wait for the reader. */
export type WriteSome = (bytes: Uint8Array, offset: number) => number;

/**
 * Creates a writer to standard output that never waits for its reader.
 *
 * Writes in libuv's thread pool are unsuitable: the pool is joined at exit, so a write that waits for a stalled reader blocks
 * `process.exit()`. So is a stream: its pending write keeps the process alive.
 */
export function openStdout(): WriteSome {
  const fd = 1;
  if (isatty(fd)) {
    const own = openTerminal(fd);
    return (bytes, offset) => writeSync(own, bytes, offset);
  }
  // libuv makes a pipe or socket non-blocking when Node creates its stream, but each `write` of the stream waits. So the stream is
  // created and not written to. A file stays blocking: writes to it end in the page cache.
  void process.stdout;
  return (bytes, offset) => writeSync(fd, bytes, offset);
}

/** Opens the terminal again, so that the file description of the shell does not become non-blocking. */
function openTerminal(fd: number): number {
  try {
    return openSync(`/dev/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return fd;
  }
}
