import { METRICS, type MetricKey } from './metric-table.ts';
import type { Sample } from './series.ts';

/** The content type of the text format 0.0.4. */
export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '"': '\\"' };

/**
 * Writes all metrics, in the order of the table, in the text format 0.0.4 of Prometheus:
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function writeText(samples: Readonly<Record<MetricKey, readonly Sample[]>>): string {
  const lines: string[] = [];
  for (const [key, { name, type, help }] of Object.entries(METRICS)) {
    lines.push(`# HELP ${name} ${escapeText(help, /[\\\n]/g)}`, `# TYPE ${name} ${type}`);
    for (const { metricName = name, labels, value } of samples[key as MetricKey]) {
      lines.push(`${metricName}${writeLabels(labels)} ${writeValue(value)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function writeLabels(labels: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeText(String(value), /[\\\n"]/g)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function writeValue(value: number): string {
  return Math.abs(value) === Number.POSITIVE_INFINITY ? `${value > 0 ? '+' : '-'}Inf` : String(value);
}

function escapeText(text: string, escaped: RegExp): string {
  return text.replace(escaped, (character) => ESCAPES[character]!);
}
