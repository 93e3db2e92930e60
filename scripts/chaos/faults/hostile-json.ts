import { gzipSync } from 'node:zlib';
import { faultOf } from '../../fuzz/check-answer.ts';
import { watchStalls } from '../../fuzz/stalls.ts';
import { repeat, type StartAttack } from '../attack.ts';
import { atMost, type Fault } from '../fault.ts';
import { ECHO } from '../models.ts';
import type { Target } from '../target.ts';

const MIB = 2 ** 20;
const JSON_TYPE = 'application/json';
const PLAIN = { 'Content-Type': JSON_TYPE };

/** A body that is refused, whatever the dialect. */
interface Hostile {
  readonly name: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  body(): string | Buffer;
}

const infer = `/v2/models/${ECHO}/infer`;
const BOMB = { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'gzip' };
const members = (count: number, name: (i: number) => string): string =>
  `{"features":{${Array.from({ length: count }, (_, i) => `"${name(i)}":1`).join(',')}}}`;

const BODIES: readonly Hostile[] = [
  { name: 'a gzip bomb of 256 MiB', path: infer, headers: BOMB, body: () => gzipSync(Buffer.alloc(256 * MIB, '[')) },
  { name: 'a gzip bomb of blanks', path: infer, headers: BOMB, body: () => gzipSync(Buffer.alloc(256 * MIB, ' ')) },
  {
    name: 'gzip in gzip',
    path: infer,
    headers: { ...BOMB, 'Content-Encoding': 'gzip, gzip' },
    body: () => gzipSync(gzipSync('{}')),
  },
  { name: 'gzip that ends early', path: infer, headers: BOMB, body: () => gzipSync('{"inputs":[]}').subarray(0, 20) },
  { name: 'gzip to /predict that does not parse', headers: BOMB, body: () => gzipSync('{"features":') },
  { name: 'an unknown coding', headers: { ...BOMB, 'Content-Encoding': 'x-bomb' }, body: () => '{"features":[1,2]}' },
  { name: '10 M nested arrays', body: () => '['.repeat(10 * MIB) },
  { name: '1 M nested objects', body: () => `{"features":${'{"a":'.repeat(MIB)}` },
  { name: '1 M members', body: () => members(MIB, (i) => `k${i}`) },
  { name: '60,000 members that hash alike', body: () => members(60_000, (i) => String(i * 65_536)) },
  { name: '__proto__', body: () => '{"features":{"__proto__":{"polluted":true}}}' },
  { name: '__proto__ beside features', body: () => '{"features":[1,2],"__proto__":{"polluted":true}}' },
  { name: 'constructor.prototype', body: () => '{"features":{"constructor":{"prototype":{"polluted":true}}}}' },
  { name: '1e400', body: () => '{"features":[1e400,1]}' },
  { name: 'a number of 1 M digits', body: () => `{"features":[${'9'.repeat(MIB)},1]}` },
  { name: 'an exponent of 1 M digits', body: () => `{"features":[1e${'9'.repeat(MIB)},1]}` },
  { name: 'a lone surrogate', body: () => '{"features":["\\ud800",1]}' },
  { name: 'a surrogate in UTF-8', body: () => Buffer.from('7b226665617475726573223a5b22eda080222c315d7d', 'hex') },
  { name: 'UTF-16', body: () => Buffer.from('\ufeff{"features":[1,2]}', 'utf16le') },
  { name: 'a string of 16 MiB', body: () => `{"features":["${'a'.repeat(16 * MIB)}",1]}` },
  { name: '16 MiB of blanks', body: () => ' '.repeat(16 * MIB) },
  { name: 'no JSON', body: () => Buffer.from([0, 1, 2, 255]) },
];

/** Of which JavaScript takes the last, and other readers the first. */
const DUPLICATE: Hostile = { name: 'a duplicate key', body: () => '{"features":[1,2],"features":[3,4]}' };
/** A body is sent so often; the shortest stall counts, as other processes stall a server too. */
const TRIES = 3;
const STALL_MS = 50;

const KNOWN = { method: 'POST', path: '/predict', body: '{"features":[1,2]}' } as const;

export const hostileJson: Fault = {
  name: 'hostile-json',
  title: 'bodies that are bombs: gzip, deep JSON, many keys, huge numbers, odd encodings',
  async run(chaos) {
    const target = await chaos.shared();
    const known = await target.send(KNOWN);
    const faults: string[] = [];
    let [worst, worstName] = [0, ''];
    for (const hostile of BODIES) {
      const fault = await faultOfResponse(target, hostile);
      if (fault !== undefined) faults.push(`${hostile.name}: ${fault}`);
      const stallMs = await shortestStall(target, hostile);
      if (stallMs > worst) [worst, worstName] = [stallMs, hostile.name];
    }
    chaos.holds(`each of ${BODIES.length} gets 4xx in JSON`, faults.length === 0, faults.join('; ') || '4xx');
    const duplicate = await faultOfResponse(target, DUPLICATE);
    chaos.holds('a duplicate key gets 4xx', duplicate === undefined, duplicate ?? '4xx');
    const last = await target.send(KNOWN);
    chaos.holds('the server is as before', last.status === 200 && last.text === known.text, String(last.status));
    chaos.compares(`longest /health/live <= ${STALL_MS} ms (${worstName})`, worst, atMost(STALL_MS), 'ms');
  },
};

const toSent = ({ path = '/predict', headers = PLAIN, body }: Hostile) =>
  ({ method: 'POST', path, headers, body: body() }) as const;

/** What is wrong with the response to a hostile body; undefined if it is refused as it should be. */
async function faultOfResponse({ send }: Target, hostile: Hostile): Promise<string | undefined> {
  try {
    const answer = await send(toSent(hostile));
    const { status, text } = answer;
    return status < 400 || status > 499 ? `${status} ${text.slice(0, 100)}` : faultOf(answer);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Milliseconds of the longest `/health/live` while a body is sent: the least of some tries. */
async function shortestStall(target: Target, hostile: Hostile): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES && least > STALL_MS; i++) {
    const stalls = watchStalls(target.url);
    await faultOfResponse(target, hostile);
    least = Math.min(least, (await stalls.stop()).worstMs);
  }
  return least;
}

export const attackByHostileJson: StartAttack = ({ send }, random) =>
  repeat(200, () => send(toSent(random.pick(BODIES))));
