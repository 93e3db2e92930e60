/** A metric read from the Prometheus text format 0.0.4. */
export interface Family {
  type: string;
  help: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/y;
const SAMPLE = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/;
const VALUE = /^(?:[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|Inf)|NaN)$/i;

/**
 * Reads the text strictly: throws where a line is malformed, a sample stands outside its family, a name has two families
 * or two samples have the same labels.
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [mark, word, name = '', ...rest] = line.split(' ');
    if (mark === '#' && word === 'HELP') {
      if (!NAME.test(name) || families.has(name)) throw new Error(`bad or second family: ${line}`);
      families.set(name, { type: '', help: rest.join(' '), samples: [] });
      current = name;
    } else if (mark === '#' && word === 'TYPE') {
      const family = families.get(name);
      if (family === undefined || name !== current || family.samples.length > 0) throw new Error(`misplaced: ${line}`);
      family.type = rest.join(' ');
    } else {
      const sample = parseSample(line);
      const family = families.get(current);
      if (family === undefined || !belongs(sample.name, current, family.type))
        throw new Error(`outside its family: ${line}`);
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (seen.has(key)) throw new Error(`twice: ${line}`);
      seen.add(key);
      family.samples.push(sample);
    }
  }
  return families;
}

function belongs(name: string, family: string, type: string): boolean {
  if (type === 'histogram') return ['_bucket', '_sum', '_count'].some((part) => name === family + part);
  return name === family && (type === 'counter' || type === 'gauge');
}

function parseSample(line: string): Family['samples'][number] {
  const [, name = '', text = '', value = ''] = SAMPLE.exec(line) ?? [];
  if (!NAME.test(name) || !VALUE.test(value)) throw new Error(`malformed: ${line}`);
  return { name, labels: parseLabels(text, line), value: Number(value.replace('Inf', 'Infinity')) };
}

function parseLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let at = 0; at < text.length; at = LABEL.lastIndex + 1) {
    LABEL.lastIndex = at;
    const match = LABEL.exec(text);
    const next = match === null ? undefined : text[LABEL.lastIndex];
    if (match === null || match[1]! in labels || (next !== undefined && next !== ','))
      throw new Error(`labels: ${line}`);
    labels[match[1]!] = match[2]!.replace(/\\(.)/g, (_, char) => (char === 'n' ? '\n' : char));
  }
  return labels;
}
