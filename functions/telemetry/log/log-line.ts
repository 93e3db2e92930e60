import { styleText } from 'node:util';
import { type LogEntry, SPAN_ID, TRACE, TRACE_SAMPLED } from './log-entry.ts';

/** An entry as one line of JSON, newline included. */
export function jsonLine(entry: LogEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

type Colour = 'magenta' | 'red' | 'yellow' | 'green' | 'gray';

const COLOURS: Record<LogEntry['severity'], Colour> = {
  CRITICAL: 'magenta',
  ERROR: 'red',
  WARNING: 'yellow',
  INFO: 'green',
  DEBUG: 'gray',
};

const LEFT_OUT = new Set(['severity', 'message', 'time', 'httpRequest', 'stack_trace', TRACE, SPAN_ID, TRACE_SAMPLED]);

/** An entry as a short coloured line for a terminal, followed by its stack, if any; newline included. */
export function readableLine(entry: LogEntry): string {
  const { severity, message, time, httpRequest, stack_trace } = entry;
  const parts = [
    paint('gray', time.slice(11, 23)),
    paint(COLOURS[severity], severity.padEnd(8)),
    escapeControls(message),
  ];
  if (httpRequest !== undefined) parts.push(`${(Number.parseFloat(httpRequest.latency) * 1000).toFixed(1)}ms`);
  for (const [name, value] of Object.entries(entry)) {
    if (value === undefined || LEFT_OUT.has(name)) continue;
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    parts.push(paint('gray', `${name}=`) + escapeControls(text));
  }
  const stack = stack_trace === undefined ? '' : `\n${stack_trace.split('\n').map(escapeControls).join('\n')}`;
  return `${parts.join(' ')}${stack}\n`;
}

function paint(colour: Colour, text: string): string {
  return styleText(colour, text, { validateStream: false });
}

/** Escapes control characters: a client's text must not move the cursor or start a new line. */
function escapeControls(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
