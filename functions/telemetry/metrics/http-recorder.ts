import { LABEL_LIMITS, METHODS, METRICS, TIME_BUCKETS } from './metric-table.ts';
import { boundLabel, createHistogram, type Histogram, type Sample } from './series.ts';

interface HttpRecorder {
  /** Counts one response. @param route the route's pattern, never the requested path. */
  record(route: string, method: string, status: number, seconds: number): void;
  /** The samples of each metric. */
  samples: Record<'httpRequests' | 'httpDuration', () => Sample[]>;
}

interface Route {
  readonly duration: Histogram;
  /** By method index * 1000 + status. */
  readonly counts: Map<number, { value: number }>;
}

const METHOD_INDEX: ReadonlyMap<string, number> = new Map(METHODS.map((method, index) => [method, index]));

/** Creates a recorder of responses by route, method and status. */
export function createHttpRecorder(): HttpRecorder {
  const label = boundLabel(LABEL_LIMITS.route);
  const routes = new Map<string, Route>();

  function addRoute(name: string): Route {
    const bounded = label(name);
    const route = routes.get(bounded) ?? { duration: createHistogram(TIME_BUCKETS), counts: new Map() };
    routes.set(bounded, route);
    return route;
  }

  function record(name: string, method: string, status: number, seconds: number): void {
    const route = routes.get(name) ?? addRoute(name);
    route.duration.observe(seconds);
    const known = status >= 100 && status <= 599 ? Math.trunc(status) : 0;
    const key = (METHOD_INDEX.get(method) ?? METHODS.length) * 1000 + known;
    const count = route.counts.get(key);
    if (count === undefined) route.counts.set(key, { value: 1 });
    else count.value += 1;
  }

  const httpRequests = () =>
    Array.from(routes, ([route, { counts }]) =>
      Array.from(counts, ([key, { value }]): Sample => {
        const method = METHODS[Math.trunc(key / 1000)] ?? 'other';
        return { labels: { route, method, status: key % 1000 || 'other' }, value };
      }),
    ).flat();

  const httpDuration = () =>
    Array.from(routes, ([route, { duration }]) => duration.samples(METRICS.httpDuration.name, { route })).flat();

  return { record, samples: { httpRequests, httpDuration } };
}
