import { createHash } from 'node:crypto';
import { formatCount, formatMs, formatShare } from '../../terminal/format.ts';
import { formatFigure, formatObjective } from '../slo.ts';
import { latencyChart, throughputChart, trialChart } from './charts.ts';
import { escapeHtml } from './escape-html.ts';
import {
  cpuLines,
  describeLoad,
  errorRows,
  formatRate,
  LATENCIES,
  PHASE_TITLES,
  phaseRows,
  type Report,
  warnings,
} from './report.ts';
import { stageRows, trialTable } from './text.ts';

const STYLE = `
:root { color-scheme: light dark; --text: #1f2328; --dim: #59636e; --line: #d1d9e0; --back: #fff; --ok: #1a7f37; --failed: #cf222e; --bar: #0969da; }
@media (prefers-color-scheme: dark) { :root { --text: #f0f6fc; --dim: #9198a1; --line: #3d444d; --back: #0d1117; --ok: #3fb950; --failed: #f85149; --bar: #4493f8; } }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .dim, th { color: var(--dim); font-weight: 400; } .ok { color: var(--ok); } .failed { color: var(--failed); }
.warning { border-left: 4px solid var(--failed); padding-left: .75rem; margin-top: 1rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem .25rem 0; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th.text, td.text { text-align: left; } td.long { max-width: 30rem; overflow-wrap: anywhere; }
.big { font-size: 1.6rem; } svg { width: 100%; height: auto; display: block; } svg text { fill: var(--dim); font-size: 12px; }
.bar { fill: var(--bar); } .grid { stroke: var(--line); } line.mark { stroke: var(--failed); stroke-dasharray: 4 3; } text.mark { fill: var(--failed); }
polyline { fill: none; stroke-width: 2; } polyline.ok { stroke: var(--ok); } polyline.failed { stroke: var(--failed); }
circle.ok { fill: var(--ok); } circle.failed { fill: var(--failed); }
`;
/** Nothing is loaded, and nothing runs: the one style is known by its hash. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; img-src data:; base-uri 'none'; form-action 'none'`;

/** The report as one HTML file without scripts. */
export function htmlReport(report: Report): string {
  const { result, capacity, verdicts, url, title, at, model } = report;
  const of = result.offered === undefined ? '' : ` of ${formatRate(result.offered)} that were sent`;
  const sections = [
    `<h1>Load test of ${escapeHtml(url)}</h1>`,
    `<p>${escapeHtml(title)}${model === undefined ? '' : escapeHtml(`; model ${model.name} ${model.version ?? ''}`.trimEnd())}</p>`,
    `<p>${escapeHtml(describeLoad(report))}</p><p class="dim">${escapeHtml(at)}</p>`,
    ...warnings(report).map((line) => `<p class="warning">${escapeHtml(line)}</p>`),
    capacity === undefined ? '' : capacitySection(report),
    section(
      'Objectives',
      tableOf(
        ['objective', 'measured', 'result'],
        verdicts.map((verdict) => [
          formatObjective(verdict),
          formatFigure(verdict.figure, verdict.measured),
          verdict.met ? 'met' : 'missed',
        ]),
      ),
    ),
    section(
      capacity === undefined ? 'Requests' : `Requests at ${formatRate(capacity.best.rate)} per second`,
      `<p class="big">${formatRate(result.rate)} per second${of}</p><p>${formatCount(result.requests)} requests, ${formatCount(result.ok)} ok, ${formatShare(result.errorRate)} errors, ${formatCount(result.connections)} connections</p>`,
    ),
    section(
      'Latency',
      tableOf(
        LATENCIES.map(([, name]) => name),
        result.requests === 0 ? [] : [LATENCIES.map(([name]) => formatMs(result.latency[name]))],
        -1,
      ) + latencyChart(result),
    ),
    section('Throughput', throughputChart(result)),
    section('Phases', tableOf(PHASE_TITLES, phaseRows(report))),
    section('Stages of the server', tableOf(['stage', 'mean', 'p50', 'p99'], stageRows(report))),
    section('Errors', tableOf(['error', 'count', 'of all', 'the first'], errorRows(report))),
    section(
      'CPU',
      cpuLines(report)
        .map((line) => `<p>${escapeHtml(line)}</p>`)
        .join(''),
    ),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Load test of ${escapeHtml(url)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
${sections.filter((text) => text !== '').join('\n')}
</main>
</body>
</html>
`;
}

function capacitySection({ capacity }: Report): string {
  const { rate, trials } = capacity!;
  const found = rate === undefined ? 'No rate meets the objectives' : `${formatRate(rate)} requests per second`;
  const { titles, rows } = trialTable(trials);
  const drawn = tableOf(titles, rows, -1);
  return section(
    'Capacity',
    `<p class="big ${rate === undefined ? 'failed' : 'ok'}">${found}</p>${drawn}${trialChart(trials)}`,
  );
}

function section(title: string, content: string): string {
  return content === '' ? '' : `<section>\n<h2>${escapeHtml(title)}</h2>\n${content}\n</section>`;
}

/** A table; empty without rows. @param textColumn the column that is aligned to the left */
function tableOf(titles: readonly string[], rows: readonly (readonly string[])[], textColumn = 0): string {
  if (rows.length === 0) return '';
  const kind = (i: number, text: string): string => {
    const classes = [
      i === textColumn || text.length > 24 ? 'text' : '',
      text.length > 24 ? 'long' : '',
      text === 'met' ? 'ok' : text === 'missed' ? 'failed' : '',
    ];
    const named = classes.filter((name) => name !== '').join(' ');
    return named === '' ? '' : ` class="${named}"`;
  };
  const head = titles.map(
    (title, i) => `<th scope="col"${i === textColumn ? ' class="text"' : ''}>${escapeHtml(title)}</th>`,
  );
  const body = rows.map(
    (row) => `<tr>${row.map((cell, i) => `<td${kind(i, cell)}>${escapeHtml(cell)}</td>`).join('')}</tr>`,
  );
  return `<div class="scroll"><table><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}
