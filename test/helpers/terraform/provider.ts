import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import type { Attribute, Block, ProviderSchema } from './schema.ts';

/**
 * A provider that knows its schema and nothing else: enough for `terraform validate`, and for `terraform test` with a mock_provider.
 * Terraform finds it by TF_REATTACH_PROVIDERS, and talks gRPC without TLS to it:
 * https://github.com/hashicorp/terraform/blob/main/docs/plugin-protocol/tfplugin6.proto
 */
export interface Provider {
  /** The variables with which Terraform uses it in place of the provider of the registry. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** @param socket the path of the Unix socket to listen on. */
export async function startProvider(schema: ProviderSchema, socket: string): Promise<Provider> {
  const answers = new Map([['/tfplugin6.Provider/GetProviderSchema', encodeProvider(schema)]]);
  const server = createServer();
  server.on('stream', (stream, headers) => void answer(stream, String(headers[':path'])));
  server.listen(socket);
  await once(server, 'listening');

  async function answer(stream: ServerHttp2Stream, path: string): Promise<void> {
    // The configuration of the provider and of each resource is valid as soon as Terraform has checked it by the schema.
    const known = answers.get(path) ?? (/^\/tfplugin6\.Provider\/Validate/.test(path) ? Buffer.alloc(0) : undefined);
    // Terraform opens streams for its logs too, whose requests have no end.
    if (known === undefined)
      return stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': 12 },
        { endStream: true },
      );
    await buffer(stream);
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': 0 }));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.end(frame(known));
  }

  const [name = ''] = schema.provider.split(' ');
  const address = { Network: 'unix', String: socket };
  const reattach = { Protocol: 'grpc', ProtocolVersion: 6, Pid: process.pid, Test: true, Addr: address };
  return {
    env: { TF_REATTACH_PROVIDERS: JSON.stringify({ [name]: reattach }) },
    async close() {
      server.close();
      await once(server, 'close');
    },
  };
}

/** A message of gRPC: not compressed, its length, its bytes. */
function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const NESTING = { object: 1, one: 2, many: 2 } as const;

function encodeProvider({ resources }: ProviderSchema): Buffer {
  const strings: Attribute = 'string';
  const provider: Block = { attributes: { project: strings, region: strings }, blocks: {} };
  return Buffer.concat([
    field(1, encodeSchema(provider)),
    ...Object.entries(resources).map(([name, block]) =>
      field(2, Buffer.concat([field(1, name), field(2, encodeSchema(block))])),
    ),
  ]);
}

const encodeSchema = (block: Block): Buffer => field(2, encodeBlock(block));

function encodeBlock({ attributes, blocks }: Block): Buffer {
  return Buffer.concat([
    ...Object.entries(attributes).map(([name, attribute]) => field(2, encodeAttribute(name, attribute))),
    ...Object.entries(blocks).map(([name, block]) => {
      const { nesting, required } = block;
      const bounds = [
        ...(required && nesting !== 'object' ? [number(4, 1)] : []),
        ...(nesting === 'one' ? [number(5, 1)] : []),
      ];
      return field(
        3,
        Buffer.concat([field(1, name), field(2, encodeBlock(block)), number(3, NESTING[nesting]), ...bounds]),
      );
    }),
  ]);
}

function encodeAttribute(name: string, attribute: Attribute): Buffer {
  const [type = '', kind = 'optional'] = attribute.split(', ');
  const [, collection, element] = /^(list|map)\((\w+)\)$/.exec(type) ?? [];
  const json = JSON.stringify(collection === undefined ? type : [collection, element]);
  const flags = { required: [4], optional: name === 'id' ? [5, 6] : [5], computed: [6] }[kind] ?? [];
  return Buffer.concat([field(1, name), field(2, json), ...flags.map((flag) => number(flag, 1))]);
}

/** A field of Protocol Buffers that holds a message, a text or bytes. */
function field(tag: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint((tag << 3) | 2), varint(bytes.length), bytes]);
}

const number = (tag: number, value: number): Buffer => Buffer.concat([varint(tag << 3), varint(value)]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
