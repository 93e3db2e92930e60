import type { Feed } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { createNet, type Net, type Style } from './net.ts';

/** An {@link ExportedGraph} in short. */
export interface Case {
  readonly name: string;
  /** Where there is one, the verdict is mixed, unless it says otherwise. */
  readonly operator?: string;
  readonly verdict?: ExportedGraph['verdict'];
  readonly inputs: Readonly<Record<string, Feed>>;
  readonly tolerance?: number;
  /** Writes the nodes and outputs; gets the names of the inputs. */
  readonly write: (net: Net, ...inputs: string[]) => void;
  readonly style?: Partial<Style>;
}

export function graphsOf(exporter: string, style: Style, cases: readonly Case[]): ExportedGraph[] {
  return cases.map(({ name, operator, verdict, inputs, tolerance, write, style: own }) => {
    const feeds = Object.values(inputs);
    return {
      name: `${exporter}: ${name}`,
      model() {
        const net = createNet('main_graph', { ...style, ...own });
        const names = Object.entries(inputs).map(([key, { dtype, shape }]) => net.input(key, dtype, shape));
        write(net, ...names);
        return net.build();
      },
      verdict: verdict ?? (operator === undefined ? 'proved' : 'mixed'),
      ...(operator !== undefined && { operator }),
      ...(feeds.some(({ special }) => !special) && { special: false }),
      ...(tolerance !== undefined && { tolerance }),
      feeds: (random, rows) => feeds.map(({ make }) => make(random, rows)),
    };
  });
}

/** The feeds of a request: see {@link ExportedGraph.feeds}. */
export function feed(...inputs: readonly Feed[]): ExportedGraph['feeds'] {
  return (random, rows) => inputs.map(({ make }) => make(random, rows));
}
