/**
 * The bytes of one HTTP/1.1 request: headers and body in one buffer.
 * @param fields further header lines; a body is `application/json` unless one of them says otherwise
 * @param host of the `Host` field
 */
export function requestBytes(
  method: string,
  path: string,
  body: Uint8Array | string = '',
  fields: readonly string[] = [],
  host = '127.0.0.1',
): Buffer {
  const content = Buffer.from(body as string);
  const head = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...fields];
  if (content.length > 0) {
    if (!fields.some((field) => /^content-type:/i.test(field))) head.push('Content-Type: application/json');
    head.push(`Content-Length: ${content.length}`);
  }
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), content]);
}
