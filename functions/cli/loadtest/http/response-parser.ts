interface ResponseEvents {
  /** Bytes of a body, without the framing of chunks. `bytes` is only valid during the call. */
  onBody?(bytes: Buffer, from: number, to: number): void;
  /**
   * A response is complete.
   * @param close the server accepts no further request on the connection.
   * @param retryAfter seconds of its `Retry-After`; NaN if it has none.
   */
  onResponse(status: number, close: boolean, retryAfter: number): void;
}

interface ResponseParser {
  /** Parses `bytes[from, to)`. @throws Error if they are not an HTTP/1.1 response with a length. */
  push(bytes: Buffer, from: number, to: number): void;
  /** Whether a response has begun and not ended. */
  partial(): boolean;
}

type State = 'status' | 'header' | 'body' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer';

const LF = 10;
const H = 72;
const SLASH = 47;
const COLON = 58;
const NO_LENGTH = -1;
/** The longest line: each piece of one that has not ended is read again. */
const MOST_LINE_BYTES = 65_536;

function text(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('latin1', from, to);
}

function lower(bytes: Buffer, from: number, to: number): string {
  return text(bytes, from, to).trim().toLowerCase();
}

/** The decimal number in `bytes[from, to)`, with or without blanks around it; NaN if there is none. */
function decimal(bytes: Buffer, from: number, to: number): number {
  let value = Number.NaN;
  for (let i = from; i < to; i += 1) {
    const byte = bytes[i]!;
    if (byte >= 48 && byte <= 57) value = (Number.isNaN(value) ? 0 : value * 10) + byte - 48;
    else if (byte !== 32) return Number.NaN;
  }
  return value;
}

/** The fields of a response that are needed. */
interface Fields {
  length: number;
  chunked: boolean;
  close: boolean;
  /** Seconds. */
  retryAfter: number;
}

const NO_FIELDS: Fields = { length: NO_LENGTH, chunked: false, close: false, retryAfter: Number.NaN };

/** Reads a header line. The needed fields start with c, t or r, and have their colons at 10, 11, 14 and 17. */
function readField(fields: Fields, bytes: Buffer, from: number, to: number): void {
  const first = bytes[from]! | 32;
  if (first === 99 && bytes[from + 14] === COLON && lower(bytes, from, from + 14) === 'content-length') {
    fields.length = decimal(bytes, from + 15, to);
    if (!Number.isInteger(fields.length)) throw new Error(`bad header: ${text(bytes, from, to)}`);
  } else if (first === 99 && bytes[from + 10] === COLON && lower(bytes, from, from + 10) === 'connection') {
    fields.close = lower(bytes, from + 11, to) === 'close';
  } else if (first === 116 && bytes[from + 17] === COLON && lower(bytes, from, from + 17) === 'transfer-encoding') {
    fields.chunked = lower(bytes, from + 18, to).endsWith('chunked');
  } else if (first === 114 && bytes[from + 11] === COLON && lower(bytes, from, from + 11) === 'retry-after') {
    fields.retryAfter = decimal(bytes, from + 12, to);
  }
}

/**
 * Parses the parts of an HTTP/1.1 response that a correct load generator needs: status, Content-Length or chunked framing,
 * Connection: close and Retry-After. It reads bytes, and usually creates no strings.
 */
export function createResponseParser(events: ResponseEvents): ResponseParser {
  let state: State = 'status';
  let status = 0;
  const fields: Fields = { ...NO_FIELDS };
  let left = 0;
  let cut: Buffer | undefined;

  function finish(): void {
    const was = status;
    state = 'status';
    status = 0;
    events.onResponse(was, fields.close, fields.retryAfter);
  }

  function beginBody(): void {
    if (status < 200) {
      state = 'status';
      return;
    }
    if (status === 204 || status === 304) finish();
    else if (fields.chunked) state = 'chunk-size';
    else if (fields.length === NO_LENGTH)
      throw new Error(`a ${status} response with neither Content-Length nor chunks`);
    else if (fields.length === 0) finish();
    else {
      left = fields.length;
      state = 'body';
    }
  }

  function onStatusLine(bytes: Buffer, from: number, to: number): void {
    status = decimal(bytes, from + 9, Math.min(to, from + 12));
    if (bytes[from] !== H || bytes[from + 4] !== SLASH || !(status >= 100 && status < 600)) {
      throw new Error(`not an HTTP/1.1 status line: ${JSON.stringify(text(bytes, from, Math.min(to, from + 40)))}`);
    }
    Object.assign(fields, NO_FIELDS);
    state = 'header';
  }

  function onHeaderLine(bytes: Buffer, from: number, to: number): void {
    if (to === from) beginBody();
    else readField(fields, bytes, from, to);
  }

  function onLine(bytes: Buffer, from: number, to: number): void {
    if (state === 'status') onStatusLine(bytes, from, to);
    else if (state === 'header') onHeaderLine(bytes, from, to);
    else if (state === 'chunk-size') {
      left = Number.parseInt(text(bytes, from, to), 16);
      if (!(left >= 0)) throw new Error(`bad chunk size: ${JSON.stringify(text(bytes, from, to))}`);
      state = left === 0 ? 'trailer' : 'chunk-data';
    } else if (state === 'chunk-end') state = 'chunk-size';
    else if (to === from) finish();
  }

  function takeBody(bytes: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + left);
    events.onBody?.(bytes, from, end);
    left -= end - from;
    if (left === 0) {
      if (state === 'chunk-data') state = 'chunk-end';
      else finish();
    }
    return end;
  }

  function push(bytes: Buffer, from: number, to: number): void {
    if (cut !== undefined) {
      const joined = Buffer.concat([cut, bytes.subarray(from, to)]);
      cut = undefined;
      push(joined, 0, joined.length);
      return;
    }
    let at = from;
    while (at < to) {
      if (state === 'body' || state === 'chunk-data') {
        at = takeBody(bytes, at, to);
        continue;
      }
      let end = at;
      while (end < to && bytes[end] !== LF) end += 1;
      if (end === to) {
        if (to - at > MOST_LINE_BYTES) throw new Error(`a header line of more than ${MOST_LINE_BYTES} bytes`);
        cut = Buffer.from(bytes.subarray(at, to));
        return;
      }
      onLine(bytes, at, end > at && bytes[end - 1] === 13 ? end - 1 : end);
      at = end + 1;
    }
  }

  return { push, partial: () => state !== 'status' || cut !== undefined };
}
