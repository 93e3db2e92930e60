import { timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../telemetry/log/logger.ts';
import type { Caller } from './caller.ts';
import { Quota, type QuotaLimits } from './quota.ts';
import { parseTokens, type TokenEntry } from './token-file.ts';

/** The tokens of `AUTH_TOKEN_FILE`, as the file has them now. */
export interface Tokens {
  /**
   * Checks whether the file has changed, and reads it again then. Settles when the callers are those of the file, or after a second:
   * the file may be on a network, and the check goes on without being waited for. Never rejects.
   */
  refresh(): Promise<void>;
  /** The caller whose token has this SHA-256, in hex; undefined if there is none. It takes the same work for every digest. */
  find(sha256: string): Caller | undefined;
}

interface TokensOptions {
  readonly file: string;
  /** For tokens without a quota of their own. */
  readonly quota: QuotaLimits | undefined;
  readonly logger: Pick<Logger, 'error' | 'info'>;
}

interface Known {
  readonly caller: Caller;
  /** The digits of the digest, as bytes. */
  readonly digest: Buffer;
}

const LONGEST_CHECK_MS = 1000;
const DIGEST_DIGITS = 64;
/** Compared with digests that are not known, so that these take the same work. No text is its own digest. */
const NO_DIGEST = Buffer.alloc(DIGEST_DIGITS);

/**
 * Reads the tokens of a file. A file that changes later and cannot be used is logged once: the known tokens stay valid.
 * @throws Error in one line if the file cannot be used at first.
 */
export function createTokens({ file, quota, logger }: TokensOptions): Tokens {
  let stamp = stampOf(statSync(file, { bigint: true }));
  let known = toKnown(parseTokens(readFileSync(file, 'utf8')), new Map());
  let checking: Promise<void> | undefined;
  const given = Buffer.alloc(DIGEST_DIGITS);

  function toKnown(entries: readonly TokenEntry[], earlier: ReadonlyMap<string, Known>): Map<string, Known> {
    const quotas = new Map(Array.from(earlier.values(), ({ caller }) => [caller.name, caller.quota]));
    return new Map(
      entries.map((entry) => {
        const caller = callerOf(entry, entry.quota ?? quota, quotas.get(entry.name));
        return [entry.sha256, { caller, digest: Buffer.from(entry.sha256, 'latin1') }];
      }),
    );
  }

  async function check(): Promise<void> {
    let found = '';
    try {
      found = stampOf(await stat(file, { bigint: true }));
      if (found === stamp) return;
      known = toKnown(parseTokens(await readFile(file, 'utf8')), known);
      logger.info('AUTH_TOKEN_FILE was read again', { count: known.size });
    } catch (error) {
      if (found === stamp) return;
      const message = `AUTH_TOKEN_FILE cannot be used, and the tokens that it had before stay valid: ${(error as Error).message}`;
      logger.error(message, {});
    }
    stamp = found;
  }

  return {
    async refresh() {
      // A check that takes longer is not waited for again.
      if (checking !== undefined) return;
      checking = check().finally(() => {
        checking = undefined;
      });
      const late = new AbortController();
      const timer = delay(LONGEST_CHECK_MS, undefined, { ref: false, signal: late.signal }).catch(() => {});
      await Promise.race([checking, timer]);
      late.abort();
    },
    find(sha256) {
      const entry = known.get(sha256);
      given.write(sha256, 'latin1');
      return timingSafeEqual(given, entry?.digest ?? NO_DIGEST) ? entry?.caller : undefined;
    },
  };
}

/** The inode too: Kubernetes replaces a Secret's file by one of the same size, and perhaps the same time. */
const stampOf = ({ ino, size, mtimeNs }: { ino: bigint; size: bigint; mtimeNs: bigint }): string =>
  `${ino}-${size}-${mtimeNs}`;

/** @param earlier the quota of a token of this name before: what it has used stays used, unless the limits have changed. */
function callerOf(entry: TokenEntry, limits: QuotaLimits | undefined, earlier: Quota | undefined): Caller {
  const { name, models, metrics, operator } = entry;
  const isSame = JSON.stringify(earlier?.limits) === JSON.stringify(limits);
  return {
    id: `token ${name}`,
    name,
    models: models === undefined ? undefined : new Set(models),
    metrics,
    operator,
    quota: limits === undefined ? undefined : isSame ? earlier : new Quota(limits),
  };
}
