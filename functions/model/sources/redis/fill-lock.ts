import { randomBytes } from 'node:crypto';
import type { Link } from './connection.ts';

/** The right to fill an entry's chunks, which one instance has at a time. */
export interface FillLock {
  /**
   * Takes it where nobody else has it. `taken`: just now; `held`: since before; `theirs`; undefined where Redis did not
   * say, and then nobody is waited for.
   */
  take(): Promise<'taken' | 'held' | 'theirs' | undefined>;
  /** Lets the others see that something was stored, with the next renewal. */
  progress(): void;
  release(): Promise<void>;
}

/** Its value: who holds it, and how many chunks they have stored. */
const VALUE = /^[0-9A-Fa-f]+:\d+$/;

export function isLockValue(value: unknown): value is Buffer {
  return Buffer.isBuffer(value) && VALUE.test(value.toString('latin1'));
}

/** A lock without a term, or that is none, was not made by us: it would keep everybody waiting for ever. */
const TAKE = `
local value = redis.pcall('get', KEYS[1])
if type(value) == 'string' and string.match(value, '^%x+:%d+$') and redis.call('pttl', KEYS[1]) > 0
  and string.sub(value, 1, #ARGV[1]) ~= ARGV[1] then
  return 0
end
redis.call('set', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return 1`;
const RENEW = `
local value = redis.call('get', KEYS[1])
if not value or string.sub(value, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return 1`;
const RELEASE = `
local value = redis.call('get', KEYS[1])
if not value or string.sub(value, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])`;

/**
 * @param termMs after which the lock is free again where its holder has died; it is renewed three times in a term.
 */
export function createFillLock(link: Link, key: string, termMs: number): FillLock {
  const token = `${randomBytes(16).toString('hex')}:`;
  let stored = 0;
  let heldUntil = 0;
  let taking: ReturnType<FillLock['take']> | undefined;
  let timer: NodeJS.Timeout | undefined;

  const script = (text: string): string[] => ['EVAL', text, '1', key, token, String(stored), String(termMs)];
  const isHeld = (): boolean => performance.now() < heldUntil;

  async function acquire(): ReturnType<FillLock['take']> {
    stop();
    // Redis counts the term from later on.
    const sentAt = performance.now();
    const reply = await link.store(script(TAKE));
    if (reply === 0) return 'theirs';
    if (reply !== 1) return undefined;
    heldUntil = sentAt + termMs;
    const own = setInterval(() => void renew(own), termMs / 3).unref();
    timer = own;
    return 'taken';
  }

  async function renew(own: NodeJS.Timeout): Promise<void> {
    const sentAt = performance.now();
    const reply = await link.store(script(RENEW));
    if (timer !== own || reply === undefined) return;
    if (reply === 1) heldUntil = sentAt + termMs;
    else stop();
  }

  function stop(): void {
    heldUntil = 0;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    async take() {
      if (isHeld()) return 'held';
      taking ??= acquire().finally(() => {
        taking = undefined;
      });
      return taking;
    },
    progress() {
      stored += 1;
    },
    async release() {
      await taking;
      const held = isHeld();
      stop();
      if (held) await link.ask(script(RELEASE));
    },
  };
}
