import type { Value } from './values/tracked-value.ts';

/** The values that nodes of a graph can use: those of the graph and, if it is inside a node, those of the graphs around it. */
export class Scope {
  readonly #values = new Map<string, Value | undefined>();
  readonly #outer: Scope | undefined;

  constructor(outer?: Scope) {
    this.#outer = outer;
  }

  /** The value of a name. Undefined for an empty name, and for an input of a function that its caller omits. */
  get(name: string): Value | undefined {
    if (name === '') return undefined;
    return this.#values.has(name) || this.#outer === undefined ? this.#values.get(name) : this.#outer.get(name);
  }

  /** Whether the name is defined. An optional input of a function is, even if its caller omits it. */
  has(name: string): boolean {
    return this.#values.has(name) || (this.#outer?.has(name) ?? false);
  }

  set(name: string, value: Value | undefined): void {
    if (name !== '') this.#values.set(name, value);
  }
}
