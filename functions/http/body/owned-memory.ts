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

/** Whether `markOwned` was called with this very view. */
export const ownsMemory = (bytes: Uint8Array): boolean => owned.has(bytes);
