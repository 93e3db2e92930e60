/** The bytes of one HTTP/1.1 request: headers and body in one buffer. @param fields further header lines */
export function requestBytes(
  method: string,
  path: string,
  body: Buffer | string = '',
  fields: readonly string[] = [],
): Buffer {
  const content = Buffer.from(body as string);
  const head = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...fields];
  if (content.length > 0) head.push('Content-Type: application/json', `Content-Length: ${content.length}`);
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), content]);
}
