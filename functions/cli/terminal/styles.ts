import { styleText } from 'node:util';

/** Colours and weights of text. On a stream that is no terminal, and where NO_COLOR is set, they return the text as it is. */
export interface Styles {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

/** The styles for text that is written to `stream`. The variables FORCE_COLOR, NO_COLOR and NODE_DISABLE_COLORS apply, as in Node. */
export function createStyles(stream: NodeJS.WritableStream): Styles {
  const style = (format: keyof Styles) => (text: string) => styleText(format, text, { stream });
  return {
    bold: style('bold'),
    dim: style('dim'),
    red: style('red'),
    green: style('green'),
    yellow: style('yellow'),
  };
}

const asItIs = (text: string): string => text;

/** The styles of text that is not for a person. */
export const PLAIN: Styles = { bold: asItIs, dim: asItIs, red: asItIs, green: asItIs, yellow: asItIs };
