/** Views of memory that nothing else uses. */
const owned = new WeakSet<Uint8Array>();

/**
 * Marks bytes whose ArrayBuffer nothing else uses, so that it can be transferred to another thread. Only the code that allocated
 * the memory knows this: bytes from the functions framework or a socket may fill their ArrayBuffer and still be used elsewhere.
 * @returns the same bytes.
 */
export function markOwned<B extends Uint8Array>(bytes: B): B {
  owned.add(bytes);
  return bytes;
}

/**
 * Frees the memory of bytes at once. V8 would free it with its next collection of all objects, for which it waits until there are
 * tens of MiB to collect, and for ever while the server is idle.
 * @param memory all of an ArrayBuffer that nothing uses any more: its views are empty from now on. One that was transferred to a
 * thread is empty already.
 */
export function freeMemory(memory: ArrayBufferLike): void {
  if (memory instanceof ArrayBuffer && !memory.detached) memory.transfer(0);
}

/** Whether `markOwned` was called with this very view. */
export const ownsMemory = (bytes: Uint8Array): boolean => owned.has(bytes);
