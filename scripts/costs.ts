/**
 * Computes what a model costs in a month, on Cloud Run and GKE, as docs/deploy/costs.md explains:
 *
 *   node scripts/costs.ts [--requests 1000000] [--ms 100] [--overlap 1] [--cpu 1] [--memory 1] [--instances 1]
 *     [--pods 2] [--pod-cpu 0.5] [--pod-memory 0.5] [--price NAME=DOLLARS]...
 */
import { parseArgs } from 'node:util';
import { LIST_PRICES, type Prices } from '../functions/cli/prices/prices.ts';
import { costsOf, type Usage } from './costs/costs.ts';

const PRICES = LIST_PRICES.prices;

const USAGE: Usage = {
  requests: 1_000_000,
  ms: 100,
  overlap: 1,
  cpu: 1,
  memory: 1,
  instances: 1,
  'pod-cpu': 0.5,
  'pod-memory': 0.5,
  pods: 2,
};

const HELP = `usage: node scripts/costs.ts [options]

Prints the monthly bill of a model in US dollars, as docs/deploy/costs.md explains it.

  --requests N      requests a month (${USAGE.requests})
  --ms N            time of a request in milliseconds; Cloud Run rounds up to 100 (${USAGE.ms})
  --overlap N       requests that an instance handles at the same time (${USAGE.overlap})
  --cpu N           vCPUs of a Cloud Run instance (${USAGE.cpu})
  --memory N        GiB of a Cloud Run instance (${USAGE.memory})
  --instances N     warm instances, and instances with instance-based billing (${USAGE.instances})
  --pods N          pods on GKE (${USAGE.pods})
  --pod-cpu N       vCPUs that a pod requests (${USAGE['pod-cpu']})
  --pod-memory N    GiB that a pod requests (${USAGE['pod-memory']})
  --price NAME=N    another price than that of the page, such as --price spotCpuHour=0.015; repeatable:
                    ${Object.keys(PRICES).join(', ')}
`;

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

/** @returns a number of at least 0; a text that is none ends the process with one line */
function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number) || number < 0) fail(`${name}: expected a number, got ${text}`);
  return number;
}

function readArguments(): ReturnType<typeof parse> {
  try {
    return parse();
  } catch (error) {
    return fail((error as Error).message);
  }
}

const parse = () =>
  parseArgs({
    options: {
      ...Object.fromEntries(Object.keys(USAGE).map((name) => [name, { type: 'string' } as const])),
      price: { type: 'string', multiple: true },
      help: { type: 'boolean', short: 'h' },
    },
  });

const values = readArguments().values as Record<string, string | string[] | boolean | undefined>;
if (values.help === true) {
  process.stdout.write(HELP);
  process.exit();
}
const usage = Object.fromEntries(
  Object.entries(USAGE).map(([name, value]) => {
    const given = values[name];
    return [name, typeof given === 'string' ? numberOf(`--${name}`, given) : value];
  }),
) as unknown as Usage;
const prices = Object.fromEntries(
  ((values.price as string[] | undefined) ?? []).map((text) => {
    const [name = '', price = ''] = text.split('=');
    if (!(name in PRICES)) fail(`--price ${text}: expected one of ${Object.keys(PRICES).join(', ')}`);
    return [name, numberOf(`--price ${name}`, price)];
  }),
) as Partial<Prices>;
if (usage.overlap === 0) fail('--overlap: expected a number above 0, got 0');
for (const { name, dollars, withoutFree } of costsOf(usage, { ...PRICES, ...prices })) {
  process.stdout.write(
    `${name.padEnd(52)} $${dollars.toFixed(2).padStart(8)}   without free tier $${withoutFree.toFixed(2).padStart(8)}\n`,
  );
}
