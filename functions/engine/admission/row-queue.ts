import type { Feeds } from '../batch-rows.ts';
import { PRIORITIES, type Priority, type RequestTerms } from './terms.ts';

/** Rows that are queued together: all of a short request, or a chunk of a long one. */
export interface QueueEntry {
  readonly feeds: Feeds;
  /** Only rows with equal keys may share a run. */
  readonly key: string;
  readonly terms: RequestTerms;
  /** Whether the rows are a chunk of a stream or of a long request. */
  readonly isBulk: boolean;
  /** How many rows are in runs already: the first ones of the feeds. */
  taken: number;
  /** `performance.now()` when the rows entered the queue. */
  queuedAt: number;
}

/** The entries of one caller, or of one long request, oldest first. */
interface Flow<E> {
  readonly id: unknown;
  entries: E[];
  /** The index of the oldest entry: those before it have left. */
  first: number;
}

/** The flows of one key, which take turns. */
interface KeyQueue<E> {
  readonly key: string;
  readonly flows: Map<unknown, Flow<E>>;
}

/** The entries of one priority by key. The first key is the next to run; then it is moved behind the others. */
interface Lane<E> {
  readonly keys: Map<string, KeyQueue<E>>;
  rows: number;
  shortRows: number;
  /** How many runs in a row had rows of higher priorities and none of these. */
  passedOver: number;
}

/** So many runs may pass over waiting rows of a priority: so rows of higher ones cannot starve them. */
const MOST_PASSED_OVER: Readonly<Record<Priority, number>> = { 0: 0, 1: 4, 2: 16 };
/** Left entries at the front of a flow are removed from its array when there are so many of them. */
const COMPACT_FROM = 256;

/**
 * The rows that wait for a run. Higher priorities run first, but for a bounded share of the lower ones ({@link MOST_PASSED_OVER}).
 * Within a priority, keys take turns run by run, and flows take turns entry by entry: each long request is a flow, and the short
 * requests of each caller are one. Within a flow, entries run in the order of their arrival.
 */
export class RowQueue<E extends QueueEntry> {
  readonly #lanes: readonly Lane<E>[] = PRIORITIES.map(() => ({
    keys: new Map(),
    rows: 0,
    shortRows: 0,
    passedOver: 0,
  }));
  /** How many entries each long request has in the queue. */
  readonly #bulkEntries = new Map<RequestTerms, number>();
  #rows = 0;
  #shortRows = 0;

  /** All rows in the queue. */
  get rows(): number {
    return this.#rows;
  }

  /** The rows of short requests. */
  get shortRows(): number {
    return this.#shortRows;
  }

  /** Long requests with rows in the queue. */
  get bulkRequests(): number {
    return this.#bulkEntries.size;
  }

  /** The rows of short requests that run before those of a new one of this priority. */
  rowsBefore(priority: Priority): number {
    let rows = 0;
    for (let p = 0; p <= priority; p++) rows += this.#lanes[p]!.shortRows;
    return rows;
  }

  add(entry: E): void {
    const { keys } = this.#lanes[priorityOf(entry)]!;
    let ofKey = keys.get(entry.key);
    if (ofKey === undefined) {
      ofKey = { key: entry.key, flows: new Map() };
      keys.set(entry.key, ofKey);
    }
    const id = flowOf(entry);
    const flow = ofKey.flows.get(id);
    if (flow === undefined) ofKey.flows.set(id, { id, entries: [entry], first: 0 });
    else flow.entries.push(entry);
    if (entry.isBulk) this.#bulkEntries.set(entry.terms, (this.#bulkEntries.get(entry.terms) ?? 0) + 1);
    this.#count(entry, entry.feeds.rows - entry.taken);
  }

  /** The entry whose rows begin the next run. */
  first(): E | undefined {
    if (this.#rows === 0) return undefined;
    let chosen: Lane<E> | undefined;
    for (const [p, lane] of this.#lanes.entries()) {
      if (lane.rows > 0 && (chosen === undefined || lane.passedOver >= MOST_PASSED_OVER[p as Priority])) chosen = lane;
    }
    const [ofKey] = chosen!.keys.values();
    return oldest(ofKey!);
  }

  /** Begins a run with the entry that `first` has returned: the next run is another key's turn. */
  begin(entry: E): void {
    const chosen = this.#lanes[priorityOf(entry)]!;
    for (const lane of this.#lanes) if (lane !== chosen && lane.rows > 0) lane.passedOver++;
    const { keys } = chosen;
    if (keys.size === 1) return;
    const ofKey = keys.get(entry.key)!;
    keys.delete(entry.key);
    keys.set(entry.key, ofKey);
  }

  /** The next entry of this key for a run that has begun: of the highest priority that has one. */
  next(key: string): E | undefined {
    for (const { rows, keys } of this.#lanes) {
      const ofKey = rows > 0 ? keys.get(key) : undefined;
      if (ofKey !== undefined) return oldest(ofKey);
    }
    return undefined;
  }

  /** Takes rows of an entry that `first` or `next` returned for a run. @returns the index of the first of them. */
  take(entry: E, rows: number): number {
    const at = entry.taken;
    entry.taken += rows;
    this.#count(entry, -rows);
    const lane = this.#lanes[priorityOf(entry)]!;
    lane.passedOver = 0;
    const ofKey = lane.keys.get(entry.key)!;
    const flow = ofKey.flows.get(flowOf(entry))!;
    if (entry.taken === entry.feeds.rows) this.#leave(entry, flow);
    // Other flows take their turns before the rest of this one.
    if (flow.first === flow.entries.length || ofKey.flows.size > 1) {
      ofKey.flows.delete(flow.id);
      if (flow.first < flow.entries.length) ofKey.flows.set(flow.id, flow);
      else if (ofKey.flows.size === 0) lane.keys.delete(entry.key);
    }
    return at;
  }

  /** Removes the rest of an entry, unless all its rows have left the queue. */
  discard(entry: E): void {
    if (entry.taken === entry.feeds.rows) return;
    const { keys } = this.#lanes[priorityOf(entry)]!;
    const ofKey = keys.get(entry.key)!;
    const flow = ofKey.flows.get(flowOf(entry))!;
    this.#count(entry, entry.taken - entry.feeds.rows);
    entry.taken = entry.feeds.rows;
    if (flow.entries[flow.first] === entry) this.#leave(entry, flow);
    else {
      flow.entries.splice(flow.entries.indexOf(entry, flow.first), 1);
      this.#uncountBulk(entry);
    }
    if (flow.first < flow.entries.length) return;
    ofKey.flows.delete(flow.id);
    if (ofKey.flows.size === 0) keys.delete(entry.key);
  }

  /** All entries, as they are now. */
  entries(): E[] {
    return this.#lanes.flatMap(({ keys }) =>
      [...keys.values()].flatMap(({ flows }) =>
        [...flows.values()].flatMap(({ entries, first }) => entries.slice(first)),
      ),
    );
  }

  /** Removes the rest of all entries for which `condition` holds, in linear time. @returns them, oldest first in each flow. */
  remove(condition: (entry: E) => boolean): E[] {
    const removed: E[] = [];
    for (const { keys } of this.#lanes) {
      for (const ofKey of keys.values()) {
        for (const flow of ofKey.flows.values()) {
          const kept: E[] = [];
          for (let i = flow.first; i < flow.entries.length; i++) {
            const entry = flow.entries[i]!;
            (condition(entry) ? removed : kept).push(entry);
          }
          flow.entries = kept;
          flow.first = 0;
          if (kept.length === 0) ofKey.flows.delete(flow.id);
        }
        if (ofKey.flows.size === 0) keys.delete(ofKey.key);
      }
    }
    for (const entry of removed) {
      this.#count(entry, entry.taken - entry.feeds.rows);
      entry.taken = entry.feeds.rows;
      this.#uncountBulk(entry);
    }
    return removed;
  }

  #leave(entry: E, flow: Flow<E>): void {
    flow.first++;
    if (flow.first === COMPACT_FROM) {
      flow.entries = flow.entries.slice(COMPACT_FROM);
      flow.first = 0;
    }
    this.#uncountBulk(entry);
  }

  #uncountBulk({ isBulk, terms }: E): void {
    if (!isBulk) return;
    const left = this.#bulkEntries.get(terms)! - 1;
    if (left === 0) this.#bulkEntries.delete(terms);
    else this.#bulkEntries.set(terms, left);
  }

  #count(entry: E, rows: number): void {
    const lane = this.#lanes[priorityOf(entry)]!;
    lane.rows += rows;
    this.#rows += rows;
    if (entry.isBulk) return;
    lane.shortRows += rows;
    this.#shortRows += rows;
  }
}

/** The priority of an entry: that of its request, or low for bulk work and normal for others. */
export function priorityOf({ terms, isBulk }: Pick<QueueEntry, 'terms' | 'isBulk'>): Priority {
  return terms.priority ?? (isBulk ? 2 : 1);
}

const flowOf = ({ isBulk, terms }: QueueEntry): unknown => (isBulk ? terms : terms.caller);

function oldest<E>({ flows }: KeyQueue<E>): E {
  const [flow] = flows.values();
  return flow!.entries[flow!.first]!;
}
