import { ServingError } from '../../errors.ts';

/** One error of a chain of causes, as it is logged. */
interface LoggedCause {
  readonly name: string;
  readonly message?: string;
  readonly code?: string;
}

/** The fields of an error. `stack_trace` is the field that Error Reporting reads. */
interface LoggedError {
  readonly stack_trace: string;
  readonly code?: string;
  readonly path?: string;
  readonly detail?: string;
  readonly causes?: readonly LoggedCause[];
}

/** Codes of errors whose messages quote the caller's input. */
const QUOTING: ReadonlySet<string> = new Set(['INVALID_INPUT', 'MODEL_FAILED']);
const MAX_CAUSES = 8;
const MAX_STACK = 16_384;
const MAX_MESSAGE = 2048;

/**
 * Describes any thrown value: its stack, its `code`, and the chain of its causes, outermost first. The message of an
 * `INVALID_INPUT` or a `MODEL_FAILED` error quotes the caller's input (onnxruntime names the value on which it failed), as may
 * those of its causes: only names, codes, the path and the stack frames of these are logged.
 */
export function describeError(error: unknown): LoggedError {
  const chain = causesOf(error);
  const quotesInput = [error, ...chain].some((one) => one instanceof ServingError && QUOTING.has(one.code));
  const code = codeOf(error);
  const { path, detail } = error instanceof ServingError ? error : {};
  const stacks = [error, ...chain].map((one) => (quotesInput ? framesOf(one) : stackOf(one)));
  return {
    stack_trace: stacks.join('\nCaused by: ').slice(0, MAX_STACK),
    ...(code === undefined ? {} : { code }),
    ...(path === undefined ? {} : { path }),
    ...(detail === undefined ? {} : { detail: detail.slice(0, MAX_MESSAGE) }),
    ...(chain.length === 0 ? {} : { causes: chain.map((cause) => describeCause(cause, quotesInput)) }),
  };
}

/** Bounded, so that a cycle of causes ends. */
function causesOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  let next = error instanceof Error ? error.cause : undefined;
  while (next !== undefined && chain.length < MAX_CAUSES) {
    chain.push(next);
    next = next instanceof Error ? next.cause : undefined;
  }
  return chain;
}

function describeCause(cause: unknown, quotesInput: boolean): LoggedCause {
  const code = codeOf(cause);
  return {
    name: nameOf(cause),
    ...(quotesInput ? {} : { message: messageOf(cause) }),
    ...(code === undefined ? {} : { code }),
  };
}

function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, MAX_MESSAGE);
}

function stackOf(error: unknown): string {
  return error instanceof Error && typeof error.stack === 'string'
    ? error.stack
    : `${nameOf(error)}: ${messageOf(error)}`;
}

/** The stack without its message, which may run over several lines. */
function framesOf(error: unknown): string {
  const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line)) : [];
  return [nameOf(error), ...frames].join('\n');
}
