import { cpus } from 'node:os';
import type { Measurement } from '../measure/measure-model.ts';
import { WAYS, type Way } from '../prices/cost.ts';
import type { PriceList } from '../prices/prices.ts';
import { formatBytes, formatCount, formatMs, formatNumberOf, printable } from '../terminal/format.ts';
import type { Styles } from '../terminal/styles.ts';
import { table } from '../terminal/table.ts';
import { quantityOf } from '../write-settings/settings.ts';
import { preparationFacts } from './check-preparation.ts';
import type { CloudRunSize, Cost } from './cloud-run.ts';
import type { Examination } from './examine.ts';
import type { Level } from './findings.ts';
import { specText } from './first-manifest.ts';

/** What an instance for all models should have, and what a million predictions of each model cost on it. */
export interface Advice {
  readonly size: CloudRunSize | undefined;
  readonly costs: readonly (Cost | undefined)[];
}

const MOST_OPERATORS = 8;
const TITLES: Readonly<Record<Level, string>> = { fault: 'does not serve', warning: 'warning', note: 'note' };

/** The report on one model, as lines. */
export function modelLines(one: Examination, cost: Cost | undefined, styles: Styles): string[] {
  const { bold, dim, green, red, yellow } = styles;
  const warnings = one.findings.filter(({ level }) => level === 'warning').length;
  const verdict = one.serves
    ? green(warnings === 0 ? 'serves' : `serves, with ${formatNumberOf(warnings, 'warning')}`)
    : red('does not serve');
  const version = one.version === undefined ? '' : ` ${one.version}`;
  const colours: Readonly<Record<Level, (text: string) => string>> = { fault: red, warning: yellow, note: dim };
  const findings = one.findings.flatMap(({ level, problem, fix }) => [
    '',
    `  ${colours[level](TITLES[level])}: ${printable(problem)}`,
    ...(fix === undefined ? [] : [`  ${dim('fix')}: ${printable(fix)}`]),
  ]);
  return [
    `${bold(printable(one.name))}${printable(version)}: ${verdict}`,
    '',
    ...table(['', ''], factsOf(one), { indent: 2 }),
    ...findings,
    ...(one.measured === undefined ? [] : ['', ...measuredLines(one, one.measured, styles)]),
    ...(cost === undefined ? [] : ['', ...costLines(cost, styles)]),
  ];
}

function factsOf(one: Examination): string[][] {
  const { file, bytes, served, place, otherVersions } = one;
  const rows: string[][] = [['file', `${printable(place)}, ${formatBytes(bytes)}`]];
  if (file !== undefined) {
    const sets = file.opsets.map(({ domain, version }) => `${domain} ${version}`).join(', ');
    rows.push(['format', printable(`opset ${sets}; IR version ${file.irVersion}`)]);
    if (file.producer !== '') rows.push(['made by', printable(file.producer)]);
    if (file.external.length > 0) rows.push(['weights in', printable(file.external.join(', '))]);
    rows.push(['parameters', formatCount(file.parameters)]);
    rows.push(['operators', operatorText(file.operators)]);
  }
  if (otherVersions.length > 0) rows.push(['not served', `lower versions: ${otherVersions.join(', ')}`]);
  const list = (title: string, specs: readonly string[]): void =>
    specs.forEach((spec, i) => void rows.push([i === 0 ? title : '', printable(spec)]));
  if (one.preparation !== undefined) {
    for (const [title, value] of preparationFacts(one.preparation)) rows.push([title, printable(value)]);
  }
  if (served !== undefined) {
    list('inputs', served.signature.inputs.map(specText));
    list('outputs', served.signature.outputs.map(specText));
    const { enabled, decidedBy, reason } = served.batching;
    // A finding says why they do not.
    rows.push([
      'rows',
      enabled ? `share runs, by ${decidedBy}: ${printable(reason)}` : `do not share runs, by ${decidedBy}`,
    ]);
  } else if (file !== undefined) {
    const typed = ({ name, type = 'of an open type' }: { name: string; type?: string | undefined }) =>
      `${name} ${type}`;
    list('inputs', file.inputs.filter(({ name }) => !file.initializerInputs.includes(name)).map(typed));
    list('outputs', file.outputs.map(typed));
  }
  return rows;
}

function operatorText(operators: NonNullable<Examination['file']>['operators']): string {
  const names = operators.map(({ domain, operator, nodes }) => {
    const name = domain === 'ai.onnx' ? operator : `${domain}.${operator}`;
    return printable(nodes === 1 ? name : `${formatCount(nodes)} ${name}`);
  });
  const more = names.length - MOST_OPERATORS;
  return `${names.slice(0, MOST_OPERATORS).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function measuredLines({ bytes }: Examination, measured: Measurement, { bold, dim }: Styles): string[] {
  const { loadMs, startMs, before, memory, runs, best, threads } = measured;
  const facts = [['load', `${formatMs(loadMs)}, after ${formatMs(startMs)} for the start of the process`]];
  if (memory !== undefined && before !== undefined) {
    const own = Math.max(0, memory.privateBytes - before.privateBytes);
    facts.push([
      'memory',
      `file ${formatBytes(bytes)}, session and runs ${formatBytes(own)}, process ${formatBytes(memory.privateBytes)} of its own ` +
        `and ${formatBytes(memory.sharedBytes)} of shared files`,
    ]);
  }
  const right = (title: string) => ({ title, align: 'right' }) as const;
  const lines = table(
    [right('rows'), right('median'), right('95 %'), right('rows/s'), ''],
    runs.map(({ rows, medianMs, p95Ms, rowsPerSecond, fault }) =>
      medianMs === undefined
        ? [String(rows), `fails: ${printable(fault!)}`]
        : [
            String(rows),
            formatMs(medianMs),
            formatMs(p95Ms!),
            formatCount(rowsPerSecond!),
            rows === best?.rows && runs.length > 1 ? 'best batch' : '',
          ],
    ),
    { indent: 4, styleTitle: dim },
  );
  const machine = printable(cpus()[0]?.model ?? 'unknown CPU');
  return [
    `  ${bold('Measured')} with ${formatNumberOf(threads, 'thread')} on ${machine}`,
    ...table(['', ''], facts, { indent: 4 }),
    ...(runs.length === 0 ? [] : lines),
  ];
}

function costLines(cost: Cost, { bold }: Styles): string[] {
  const dollars = (amount: number): string => `$${amount.toFixed(amount < 0.1 ? 4 : 2)}`;
  const rows = (Object.keys(WAYS) as Way[]).map((way) => [WAYS[way], dollars(cost[way])]);
  return [
    `  ${bold('A million predictions')} of one row, at full load (${formatCount(cost.rate)} a second)`,
    ...table(
      ['', { title: '', align: 'right' }],
      [...rows, [`${WAYS.cloudRunRequests}, one at a time`, dollars(cost.alone)]],
      {
        indent: 4,
      },
    ),
  ];
}

/**
 * What Cloud Run needs for all of the models.
 * @param measured whether run times were measured: CPU and concurrency depend on them
 */
export function sizeLines(
  size: CloudRunSize | undefined,
  measured: boolean,
  { sources, region }: PriceList,
  { bold, red }: Styles,
): string[] {
  if (size === undefined) {
    return [
      red('no instance of Cloud Run is large enough'),
      'fix: serve it on GKE, or make it smaller: onnx-cloud-run quantize',
    ];
  }
  const { cpu, memoryBytes, concurrency, processes, threads, reason } = size;
  const engines = `${formatNumberOf(processes, 'engine process', 'engine processes')} of ${formatNumberOf(threads, 'thread')}`;
  const memory = `${quantityOf(memoryBytes)} of memory`;
  const rows = [
    ['CPU', measured ? reason : 'and concurrency depend on the run times, which were not measured'],
    ['memory', `for the server and ${engines}`],
    ...(measured ? [['prices', `list prices of ${printable(region)}: ${printable(sources.join('; '))}`]] : []),
  ];
  return [
    `${bold('Cloud Run')} needs ${measured ? `${cpu} vCPU, ${memory}, concurrency ${concurrency}` : memory}`,
    ...table(['', ''], rows),
  ];
}
