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
   * A listing that has the model, and its version if a number is given; or one that is fresh enough to prove that it does not exist.
   * @throws ServingError `NOT_READY` if the models cannot be listed
   */
  async find(name: string, number: string | undefined): Promise<Layout> {
    const latest = this.#listing.latest();
    if (latest !== undefined && this.#names.exists(latest, name, number)) return latest;
    const listed = this.#listing.isFresh() ? undefined : await this.#listFolder(name);
    return listed !== undefined && this.#names.exists(listed, name, number) ? listed : this.#listing.current();
  }

  /** A listing that is fresh enough to have all versions of the model. @throws as `find` */
  async fresh(name: string): Promise<Layout> {
    const known = this.#listing.isFresh(name) ? this.#listing.latest() : await this.#listFolder(name);
    return known?.models.has(this.#names.folderOf(known, name)) ? known : this.#listing.current();
  }

  /** A new listing. @throws as `find` */
  async list(name: string): Promise<Layout> {
    return (await this.#listFolder(name)) ?? this.#listing.refresh();
  }

  /** Lists one folder: a repository of a thousand models is listed completely only if the model behind `/predict` is not known yet. */
  async #listFolder(name: string): Promise<Layout | undefined> {
    if (!this.#hasDefaultName && this.#listing.latest() === undefined) return undefined;
    return this.#listing.listFolder(name);
  }
}
