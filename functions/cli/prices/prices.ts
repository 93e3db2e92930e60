import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { ServingError } from '../../errors.ts';
import { listNames } from '../../shorten.ts';
import list from './prices.json' with { type: 'json' };

/** The name of a price: what it is for is in `prices.json`. */
export type PriceName = keyof typeof list.prices;
/** Prices in US dollars. */
export type Prices = Readonly<Record<PriceName, number>>;

/** Prices, and where they are from. */
export interface PriceList {
  readonly prices: Prices;
  readonly region: string;
  /** Each source with the date at which it had the prices, `YYYY-MM`: `https://cloud.google.com/run/pricing, 2026-09`. */
  readonly sources: readonly string[];
}

const NAMES = Object.keys(list.prices) as PriceName[];

const price = z.number().nonnegative();
const fileSchema = z.strictObject({
  currency: z.literal('USD').optional(),
  region: z.string().min(1).optional(),
  prices: z.partialRecord(
    z.enum(NAMES),
    z.union([
      price,
      z.strictObject({ price, of: z.string().optional(), date: z.string().optional(), source: z.string().optional() }),
    ]),
  ),
});

const sourcesOf = (prices: readonly (number | { date?: string | undefined; source?: string | undefined })[]) =>
  prices.flatMap((one) =>
    typeof one === 'number' || !one.source ? [] : [[one.source, one.date].filter(Boolean).join(', ')],
  );
const unique = (texts: readonly string[]): string[] => [...new Set(texts)];

/** The list prices of `prices.json`, without discounts. */
export const LIST_PRICES: PriceList = {
  prices: Object.fromEntries(NAMES.map((name) => [name, list.prices[name].price])) as Record<PriceName, number>,
  region: list.region,
  sources: unique(sourcesOf(Object.values(list.prices))),
};

/**
 * Reads a file in the form of `prices.json`, in which a price may be a number alone: its prices replace those of the list.
 * @throws ServingError `INVALID_INPUT` that names the file and the price; the error of the system if the file cannot be read
 */
export function readPrices(file: string): PriceList {
  const text = readFileSync(file, 'utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(`${file} is not JSON: ${(cause as Error).message}`, cause);
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    const where = path.length === 0 ? 'the document' : path.join('.');
    throw invalid(`${file}: ${where}: ${message}; the prices are ${listNames(NAMES)}`);
  }
  const { region = LIST_PRICES.region, prices: given } = parsed.data;
  const own = Object.entries(given).map(([name, one]) => [name, typeof one === 'number' ? one : one.price] as const);
  const others = NAMES.filter((name) => given[name] === undefined).map((name) => list.prices[name]);
  return {
    prices: { ...LIST_PRICES.prices, ...(Object.fromEntries(own) as Partial<Prices>) },
    region,
    sources: unique([file, ...sourcesOf(Object.values(given)), ...sourcesOf(others)]),
  };
}

const invalid = (message: string, cause?: unknown): ServingError =>
  new ServingError('INVALID_INPUT', message, { cause });
