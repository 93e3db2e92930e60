/** The bytes of one HTTP/1.1 request: headers and body in one buffer. */
export function requestBytes(method: string, path: string, body: Buffer | string = ''): Buffer {
  const content = Buffer.from(body as string);
  const head = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1'];
  if (content.length > 0) head.push('Content-Type: application/json', `Content-Length: ${content.length}`);
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), content]);
}
