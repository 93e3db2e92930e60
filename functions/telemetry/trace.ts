/** The position of a request in a distributed trace. */
export interface Trace {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero; undefined if the caller sent none. */
  readonly spanId: string | undefined;
  /** Whether the caller records the trace. */
  readonly sampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const CLOUD_TRACE = /^([0-9a-f]{32})(?:\/([0-9]{1,20}))?(?:;o=([0-9]{1,3}))?$/i;
const ZEROS = /^0+$/;
const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

/**
 * Reads the trace of a request from its `traceparent` and `x-cloud-trace-context` headers; the first has precedence if it is
 * valid. A malformed header is ignored: a trace is optional. Call it only when a line is written.
 */
export function parseTrace(traceparent: string | undefined, cloudTraceContext: string | undefined): Trace | undefined {
  return parseTraceparent(traceparent) ?? parseCloudTrace(cloudTraceContext);
}

/** W3C Trace Context level 1, sections 3.2.2 and 4.3: version ff is invalid; later versions may only append `-…`. */
function parseTraceparent(header: string | undefined): Trace | undefined {
  if (header === undefined) return undefined;
  const match = TRACEPARENT.exec(header);
  if (match === null) return undefined;
  const [, version, traceId, spanId, flags, rest] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ];
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** `TRACE_ID/SPAN_ID;o=OPTIONS`, SPAN_ID a decimal uint64: https://cloud.google.com/trace/docs/trace-context */
function parseCloudTrace(header: string | undefined): Trace | undefined {
  if (header === undefined) return undefined;
  const match = CLOUD_TRACE.exec(header);
  if (match === null || ZEROS.test(match[1]!)) return undefined;
  const span = BigInt(match[2] ?? 0);
  if (span > MAX_UINT64) return undefined;
  return {
    traceId: match[1]!.toLowerCase(),
    spanId: span === 0n ? undefined : span.toString(16).padStart(16, '0'),
    sampled: (Number(match[3] ?? 0) & 1) === 1,
  };
}
