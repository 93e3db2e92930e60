import { gzipSync } from 'node:zlib';
import type { Answer } from '../../conformance/http.ts';
import { faultOf } from '../../fuzz/check-answer.ts';
import { watchStalls } from '../../fuzz/stalls.ts';
import { repeat, type StartAttack } from '../attack.ts';
import { atMost, type Fault } from '../fault.ts';
import { ECHO } from '../models.ts';

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
  { name: 'a duplicate key', body: () => '{"features":[1,2],"features":[3,4]}' },
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
      const sent = toSent(hostile);
      const stalls = watchStalls(target.url);
      const answer = await target.send(sent).catch((error: Error) => error);
      const { worstMs } = await stalls.stop();
      if (worstMs > worst) [worst, worstName] = [worstMs, hostile.name];
      const fault = answer instanceof Error ? answer.message : faultOfRefusal(answer);
      if (fault !== undefined) faults.push(`${hostile.name}: ${fault}`);
    }
    chaos.holds(`each of ${BODIES.length} gets 4xx in JSON`, faults.length === 0, faults.join('; ') || '4xx');
    const last = await target.send(KNOWN);
    chaos.holds('the server is as before', last.status === 200 && last.text === known.text, String(last.status));
    chaos.compares(`longest /health/live <= 50 ms (${worstName})`, worst, atMost(50), 'ms');
  },
};

const toSent = ({ path = '/predict', headers = PLAIN, body }: Hostile) =>
  ({ method: 'POST', path, headers, body: body() }) as const;

function faultOfRefusal(answer: Answer): string | undefined {
  if (answer.status < 400 || answer.status > 499) return `${answer.status} ${answer.text.slice(0, 100)}`;
  return faultOf(answer);
}

export const attackByHostileJson: StartAttack = ({ send }, random) =>
  repeat(200, () => send(toSent(random.pick(BODIES))));
