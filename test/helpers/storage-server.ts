/**
 * A storage server that speaks the Cloud Storage JSON API well enough for the real client, from memory, with faults on
 * demand. As a program it serves every file below a folder:
 * `node test/helpers/storage-server.ts --port 0 --latency 50 --bytes-per-second 50000000 bucket=folder`
 */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, relative, sep } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Answer, answer, fail, readPath } from './storage-answers.ts';
import { createFaults, type Fault, type RequestKind } from './storage-faults.ts';
import { createObjectStore, type PutOptions } from './storage-objects.ts';

export interface StorageOptions {
  readonly port?: number;
  /** The address to listen on: loopback, unless containers are to reach it. */
  readonly address?: string;
  /** Before each answer. */
  readonly latencyMs?: number;
  /** Of all answers together. */
  readonly bytesPerSecond?: number;
  /** What it waits by. */
  readonly clock?: Clock;
}

export interface Clock {
  /** Milliseconds. */
  now(): number;
  pause(ms: number): Promise<unknown>;
}

const REAL_CLOCK: Clock = { now: () => performance.now(), pause };

export interface LoggedRequest {
  readonly kind: RequestKind;
  /** Of a listing, its prefix. */
  readonly name: string;
  readonly query: URLSearchParams;
  readonly range: string | undefined;
  /** 0 until it is answered. */
  readonly status: number;
  /** Settles when the answer is over, or its connection. */
  readonly closed: Promise<unknown>;
}

export interface StorageServer {
  readonly url: string;
  readonly port: number;
  readonly requests: LoggedRequest[];
  /** Replaces what has that name; makes the bucket. Gives the generation: each is higher than all before it. */
  put(bucket: string, name: string, bytes: Uint8Array, options?: PutOptions): string;
  remove(bucket: string, name: string): void;
  inject(fault: Fault): void;
  /** Cuts all connections. */
  close(): Promise<void>;
}

/** Big pieces cost the fewest calls; small ones keep to a speed limit evenly. */
const PIECE = 1_048_576;
const PACED_PIECE = 65_536;

export async function startStorage(options: StorageOptions = {}): Promise<StorageServer> {
  const { port: wantedPort = 0, address = '127.0.0.1', latencyMs = 0, bytesPerSecond, clock = REAL_CLOCK } = options;
  const store = createObjectStore();
  const faults = createFaults();
  const requests: LoggedRequest[] = [];
  const pace = createPace(bytesPerSecond, clock);
  const piece = bytesPerSecond === undefined ? PIECE : PACED_PIECE;

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const asked = readPath(req.url ?? '');
    if (asked === undefined || req.method !== 'GET') return send(res, fail(404, 'Not Found'));
    const { kind, bucket, name, query } = asked;
    const { range } = req.headers;
    const closed = new Promise((resolve) => res.once('close', resolve));
    const logged = {
      kind,
      name: name ?? query.get('prefix') ?? '',
      query,
      range,
      status: 0,
      closed,
    };
    requests.push(logged);
    const usual = answer(store, asked, req.headers, false);
    const fault = faults.take(kind, name, usual.start, usual.start + usual.body.length);
    const given =
      fault === undefined ? usual : replaceAnswer(usual, fault, () => answer(store, asked, req.headers, true));
    logged.status = given.status;
    if (latencyMs > 0) await clock.pause(latencyMs);
    if (fault === undefined) return send(res, given);
    return sendWithFault(res, given, fault, () => {
      if (fault.type === 'replace') store.put(bucket, name!, fault.bytes);
    });
  }

  async function send(res: ServerResponse, given: Answer): Promise<void> {
    sendHead(res, given);
    await sendBytes(res, given.body);
    res.end();
  }

  async function sendWithFault(res: ServerResponse, given: Answer, fault: Fault, replace: () => void): Promise<void> {
    const at = 'at' in fault ? fault.at : undefined;
    const split = at === undefined ? 0 : at - given.start;
    if (fault.type === 'delay' && at === undefined) await clock.pause(fault.ms);
    if (fault.type === 'status' || fault.type === 'short' || fault.type === 'long' || fault.type === 'ignore-range')
      return send(res, given);
    if (at !== undefined || fault.type === 'delay') {
      sendHead(res, given);
      res.flushHeaders();
      await sendBytes(res, given.body.subarray(0, split));
    }
    if (fault.type === 'stall') return;
    if (fault.type === 'replace') replace();
    if (fault.type === 'replace' || fault.type === 'reset') return void res.socket?.resetAndDestroy();
    if (fault.type === 'delay' && at !== undefined) await clock.pause(fault.ms);
    const flipped = fault.type === 'flip' ? 1 : 0;
    if (flipped === 1) await sendBytes(res, Buffer.of(given.body[split]! ^ 1));
    await sendBytes(res, given.body.subarray(split + flipped));
    res.end();
  }

  async function sendBytes(res: ServerResponse, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !res.destroyed; at += piece) {
      const part = bytes.subarray(at, at + piece);
      await pace(part.length);
      await new Promise((resolve) => res.write(part, resolve));
    }
  }

  const server = createServer((req, res) => void handle(req, res));
  await once(server.listen(wantedPort, address), 'listening');
  const { port } = server.address() as AddressInfo;

  async function close(): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  const { put, remove } = store;
  return { url: `http://127.0.0.1:${port}`, port, requests, put, remove, inject: faults.inject, close };
}

function sendHead(res: ServerResponse, { status, headers, body }: Answer): void {
  res.writeHead(status, { ...headers, 'content-length': body.length });
}

/** What a fault makes of an answer before anything of it is sent. */
function replaceAnswer(usual: Answer, fault: Fault, whole: () => Answer): Answer {
  if (fault.type === 'ignore-range') return whole();
  if (fault.type === 'short') return { ...usual, body: usual.body.subarray(0, fault.at - usual.start) };
  if (fault.type === 'long') return { ...usual, body: Buffer.concat([usual.body, Buffer.alloc(fault.extra, 0xee)]) };
  if (fault.type !== 'status') return usual;
  const wait = fault.retryAfter !== undefined && { 'retry-after': fault.retryAfter };
  return fail(fault.status, fault.message ?? `Injected fault ${fault.status}`, { ...wait });
}

/** Waits so that all who ask together get no more than so many bytes a second. */
function createPace(bytesPerSecond: number | undefined, clock: Clock): (bytes: number) => Promise<void> | undefined {
  if (bytesPerSecond === undefined) return () => undefined;
  let freeAt = 0;
  return async (bytes) => {
    const now = clock.now();
    const from = Math.max(now, freeAt);
    freeAt = from + (bytes / bytesPerSecond) * 1_000;
    // A timer is no finer than this: what is due sooner goes out at once, and the next one waits for it.
    if (from - now >= 2) await clock.pause(from - now);
  };
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      port: { type: 'string', default: '0' },
      latency: { type: 'string', default: '0' },
      'bytes-per-second': { type: 'string' },
    },
  });
  const speed = values['bytes-per-second'];
  const server = await startStorage({
    port: Number(values.port),
    latencyMs: Number(values.latency),
    ...(speed !== undefined && { bytesPerSecond: Number(speed) }),
  });
  for (const pair of positionals) {
    const [bucket = '', folder = ''] = pair.split(/=(.*)/s);
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) server.put(bucket, relative(folder, path).split(sep).join('/'), readFileSync(path));
    }
  }
  console.log(JSON.stringify({ port: server.port }));
}
