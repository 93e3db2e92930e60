/**
 * Why Redis did not do what it was asked to.
 * - `unreachable`: no connection: no such host, refused, reset.
 * - `tls`: no secure connection: a certificate that is not trusted, no TLS on the other side.
 * - `timeout`: no answer within the bound.
 * - `broken`: the connection ended in mid-command, or gave what is not Redis's protocol.
 * - `denied`: password missing or wrong, a command that the user may not send.
 * - `full`: no memory left for another value.
 * - `readonly`: a replica.
 * - `refused`: any other error that Redis answers: it is loading, it cannot save.
 */
export type CacheFault = 'unreachable' | 'tls' | 'timeout' | 'broken' | 'denied' | 'full' | 'readonly' | 'refused';

/** What a cache met, for metrics and the log. */
export type CacheEvent =
  /** A chunk came from Redis. */
  | { readonly kind: 'hit'; readonly bytes: number }
  /** Redis holds no such chunk. */
  | { readonly kind: 'miss' }
  /** What Redis holds under a chunk's key is not that chunk. */
  | { readonly kind: 'garbage'; readonly key: string }
  | { readonly kind: 'stored'; readonly bytes: number }
  /** Another instance fills: how long a chunk was waited for, and whether it came. */
  | { readonly kind: 'waited'; readonly ms: number; readonly came: boolean }
  /** A read that went to the source without asking Redis, wholly or from some byte on. `unverifiable`: of an object without MD5. */
  | { readonly kind: 'skipped'; readonly why: 'small' | 'large' | 'unverifiable' | 'left_alone' }
  /** Told once for each connection that fails and each command that Redis refuses. `reason` names host and port. */
  | { readonly kind: 'fault'; readonly fault: CacheFault; readonly reason: string };
