/** Views of memory that nothing else uses. */
const owned = new WeakSet<Uint8Array>();

/**
 * Says of bytes that nothing else uses their ArrayBuffer, so that it can be transferred to another thread with them. Whoever
 * allocated the memory knows that, and its size does not tell: what the functions framework has read, or a socket
 * gave, may fill its ArrayBuffer and still be used.
 * @returns the same bytes.
 */
export function markOwned<B extends Uint8Array>(bytes: B): B {
  owned.add(bytes);
  return bytes;
}

/** Whether `markOwned` was called with this very view. */
export const ownsMemory = (bytes: Uint8Array): boolean => owned.has(bytes);
