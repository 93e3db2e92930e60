import type { Progress } from './generate.ts';
import type { Recording } from './recorder.ts';

/** A message of a thread. */
export type FromThread =
  | { readonly kind: 'measure' }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'recording'; readonly recording: Recording };
