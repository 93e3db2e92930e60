/** What is asked for: a page of a listing, one object's metadata, an object's bytes. */
export type RequestKind = 'list' | 'meta' | 'media';

/**
 * `at` is a byte of the object, or of the JSON for a listing and metadata: the bytes before it are sent. Without it the
 * fault comes before the first byte of the answer's head.
 */
type Effect =
  | { readonly type: 'delay'; readonly ms: number; readonly at?: number }
  | { readonly type: 'status'; readonly status: number; readonly retryAfter?: string; readonly message?: string }
  | { readonly type: 'reset'; readonly at?: number }
  /** Sends nothing more, and keeps the connection. */
  | { readonly type: 'stall'; readonly at?: number }
  /** The lowest bit of the byte is another. */
  | { readonly type: 'flip'; readonly at: number }
  /** The body ends before the byte, and its Content-Length says so too. */
  | { readonly type: 'short'; readonly at: number }
  /** So many bytes more than asked for, with a Content-Length to match. */
  | { readonly type: 'long'; readonly extra: number }
  /** Somebody uploads other bytes under the same name: this answer is cut, and its generation is gone. */
  | { readonly type: 'replace'; readonly at?: number; readonly bytes: Uint8Array }
  /** Another object is uploaded right after this answer was made. */
  | { readonly type: 'upload'; readonly object: string; readonly content: Uint8Array }
  /** Answers 200 with everything. */
  | { readonly type: 'ignore-range' };

export type Fault = Effect & {
  /** For requests of this kind only; else for all. */
  readonly kind?: RequestKind;
  /** For this object only; else for all. */
  readonly name?: string;
  /** How many requests it hits; 1 where it is not given. */
  readonly times?: number;
};

export interface Faults {
  inject(fault: Fault): void;
  /**
   * The first fault that hits a request, which is then used once.
   * @param start of the bytes that are asked for.
   * @param end exclusive. Two answers for two ranges of an object: a fault hits the one that holds its byte.
   */
  take(kind: RequestKind, name: string | undefined, start: number, end: number): Fault | undefined;
}

export function createFaults(): Faults {
  const waiting: { fault: Fault; left: number }[] = [];

  function take(kind: RequestKind, name: string | undefined, start: number, end: number): Fault | undefined {
    const at = waiting.findIndex(({ fault }) => hits(fault, kind, name, start, end));
    const found = waiting[at];
    if (found === undefined) return undefined;
    found.left -= 1;
    if (found.left === 0) waiting.splice(at, 1);
    return found.fault;
  }

  return { take, inject: (fault) => void waiting.push({ fault, left: fault.times ?? 1 }) };
}

function hits(fault: Fault, kind: RequestKind, name: string | undefined, start: number, end: number): boolean {
  if (fault.kind !== undefined && fault.kind !== kind) return false;
  if (fault.name !== undefined && fault.name !== name) return false;
  const at = 'at' in fault ? fault.at : undefined;
  return at === undefined || (at >= start && (at < end || at === start));
}
