import { constants, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Writes some of `bytes` from `offset` on and gives how many; throws EAGAIN where it would have to wait. */
export type WriteSome = (bytes: Uint8Array, offset: number) => number;

/**
 * A writer to standard output that never waits for its reader.
 *
 * A write in libuv's thread pool would not do: the pool is joined at exit, so one that waits for a stalled reader holds
 * up `process.exit()`. A stream does not either: its pending write keeps a natural exit from coming.
 */
export function openStdout(): WriteSome {
  const fd = 1;
  if (isatty(fd)) {
    const own = openTerminal(fd);
    return (bytes, offset) => writeSync(own, bytes, offset);
  }
  // libuv makes a pipe or socket non-blocking when Node makes its stream, and then waits itself in each `write`: this
  // takes the first and never uses the second. A file is left as it is: its writes end in the page cache.
  void process.stdout;
  return (bytes, offset) => writeSync(fd, bytes, offset);
}

/** A description of its own, so that the shell's is not made non-blocking. */
function openTerminal(fd: number): number {
  try {
    return openSync(`/dev/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return fd;
  }
}
