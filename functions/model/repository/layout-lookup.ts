import type { Layout } from '../folder/layout.ts';
import type { Listing } from './listing.ts';
import type { ModelNames } from './model-names.ts';

/** Finds a listing that has one model, with as few listings of the store as possible. */
export class LayoutLookup {
  readonly #listing: Listing;
  readonly #names: ModelNames;
  readonly #hasDefaultName: boolean;

  /** @param hasDefaultName `MODEL_NAME` is set. */
  constructor(listing: Listing, names: ModelNames, hasDefaultName: boolean) {
    this.#listing = listing;
    this.#names = names;
    this.#hasDefaultName = hasDefaultName;
  }

  /**
   * A listing that has the model, and its version where a number is given, or one that is fresh enough to say that it does not
   * exist.
   * @throws ServingError `NOT_READY` where the models cannot be listed.
   */
  async find(name: string, number: string | undefined): Promise<Layout> {
    const latest = this.#listing.latest();
    if (latest !== undefined && this.#names.exists(latest, name, number)) return latest;
    const listed = this.#listing.isFresh() ? undefined : await this.#listFolder(name);
    return listed !== undefined && this.#names.exists(listed, name, number) ? listed : this.#listing.current();
  }

  /** A listing that is fresh enough to say which versions of the model there are. @throws as `find`. */
  async fresh(name: string): Promise<Layout> {
    const known = this.#listing.isFresh(name) ? this.#listing.latest() : await this.#listFolder(name);
    return known?.models.has(this.#names.folderOf(known, name)) ? known : this.#listing.current();
  }

  /** A listing that is made now. @throws as `find`. */
  async list(name: string): Promise<Layout> {
    return (await this.#listFolder(name)) ?? this.#listing.refresh();
  }

  /** A repository of a thousand models is not listed for one of them, unless the model behind `/predict` is still to be found. */
  async #listFolder(name: string): Promise<Layout | undefined> {
    if (!this.#hasDefaultName && this.#listing.latest() === undefined) return undefined;
    return this.#listing.listFolder(name);
  }
}
