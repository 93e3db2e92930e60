import { bar } from './bar.ts';
import { formatMs, printable } from './format.ts';
import { createStyles } from './styles.ts';

/** The progress of a verb: a bar on a terminal, else a line for each step. */
export interface Progress {
  /** Begins a step, and ends the one before. @param title what is done: `measuring run times` */
  step(title: string): void;
  /**
   * How much of the step is done. Call it as often as you like.
   * @param detail follows the bar: `150 MB of 300 MB`
   */
  update(done: number, total: number, detail?: string): void;
  /** Writes a line that stays. */
  note(line: string): void;
  /** Removes the bar, so that other text can be written. Call it at the end, however the work ended. */
  end(): void;
}

/** A stream that may be a terminal. */
export type TerminalStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

const REDRAW_MS = 100;

/**
 * Creates the progress of a verb.
 * @param isSilent writes no steps to a stream that is no terminal
 */
export async function createProgress(stream: TerminalStream = process.stderr, isSilent = false): Promise<Progress> {
  if (stream.isTTY !== true) {
    const note = (line: string): void => void stream.write(`${line}\n`);
    return { step: isSilent ? () => {} : (title) => note(printable(title)), update() {}, note, end() {} };
  }
  const { createLogUpdate } = await import('log-update');
  const draw = createLogUpdate(stream as NodeJS.WritableStream);
  const { dim } = createStyles(stream);
  let step: { title: string; since: number; part?: number; detail?: string } | undefined;
  let timer: NodeJS.Timeout | undefined;

  function redraw(): void {
    if (step === undefined) return;
    const { title, since, part, detail } = step;
    const rest = part === undefined ? formatMs(performance.now() - since) : `${bar(part)}${detail ? ` ${detail}` : ''}`;
    // A line that wraps would jump.
    const width = (stream.columns || 80) - 1;
    const head = `${title}: `.slice(0, width);
    draw(`${head}${dim(rest.slice(0, width - head.length))}`);
  }

  return {
    step(title) {
      step = { title: printable(title), since: performance.now() };
      timer ??= setInterval(redraw, REDRAW_MS).unref();
      redraw();
    },
    update(done, total, detail) {
      if (step === undefined) return;
      step.part = total > 0 ? done / total : 0;
      if (detail !== undefined) step.detail = printable(detail);
    },
    note(line) {
      draw.clear();
      stream.write(`${line}\n`);
      redraw();
    },
    end() {
      clearInterval(timer);
      timer = undefined;
      step = undefined;
      draw.clear();
      draw.done();
    },
  };
}
