import * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';
import type { QuotaLimits } from './quota.ts';

/** A token of `AUTH_TOKEN_FILE`, by its digest, and the rights of those who have it. */
export interface TokenEntry {
  readonly name: string;
  /** SHA-256 of the token, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  readonly models?: readonly string[] | undefined;
  readonly metrics: boolean;
  readonly operator: boolean;
  readonly quota?: QuotaLimits | undefined;
}

/** The most of each limit of a quota. */
const MOST = 1_000_000_000;
const MOST_TOKENS = 10_000;

/** A schema for the limits of a quota; at least one. */
export const createQuotaSchema = () => {
  z.config(en());
  const limit = z.optional(z.int().check(z.minimum(1), z.maximum(MOST)));
  const isLimit = (limits: object): boolean => Object.values(limits).some((one) => one !== undefined);
  return z
    .strictObject({ requests: limit, rows: limit, concurrency: limit })
    .check(z.refine(isLimit, 'expected at least one limit'));
};

const createSchema = () =>
  z.strictObject({
    tokens: z
      .array(
        z.strictObject({
          name: z.string().check(z.regex(/^[\w.@:/-]{1,128}$/, 'expected 1 to 128 letters, digits, _ . @ : / or -')),
          sha256: z.pipe(
            z
              .string('expected the SHA-256 of the token')
              .check(z.regex(/^[0-9a-f]{64}$/i, 'expected 64 hexadecimal digits, the SHA-256 of the token')),
            z.transform((hex: string) => hex.toLowerCase()),
          ),
          models: z.optional(z.array(z.string().check(z.minLength(1)))),
          metrics: z._default(z.boolean(), false),
          operator: z._default(z.boolean(), false),
          quota: z.optional(createQuotaSchema()),
        }),
      )
      .check(z.maxLength(MOST_TOKENS)),
  });

let schema: ReturnType<typeof createSchema> | undefined;

/**
 * Parses `AUTH_TOKEN_FILE`.
 * @throws Error whose message is one line that names the place, and never shows a value.
 */
export function parseTokens(text: string): readonly TokenEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text);
  } catch {
    // The message of JSON.parse quotes the text.
    throw new Error('it is not JSON');
  }
  schema ??= createSchema();
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    const place = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
    throw new Error(`${place.slice(1) || 'the document'}: ${message}`);
  }
  const { tokens } = parsed.data;
  refuseTwice(tokens, 'name');
  refuseTwice(tokens, 'sha256');
  return tokens;
}

function refuseTwice(tokens: readonly TokenEntry[], member: 'name' | 'sha256'): void {
  const first = new Map<string, number>();
  for (const [i, token] of tokens.entries()) {
    const earlier = first.get(token[member]);
    if (earlier !== undefined) throw new Error(`tokens[${i}].${member}: the same as that of tokens[${earlier}]`);
    first.set(token[member], i);
  }
}
