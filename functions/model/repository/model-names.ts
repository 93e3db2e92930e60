import { chooseDefault, chooseVersion, type Layout, type ListedVersion } from '../folder/layout.ts';
import type { Model } from '../serving/model.ts';

/** Finds the folder of a name: the folder's own name or, for the model behind `/predict`, the one in its `model.json`. */
export class ModelNames {
  readonly #defaultName: string | undefined;
  readonly #main: Model;
  /** Cached for each listing: a list of thousands of models needs it as often. */
  #found: { readonly layout: Layout; readonly folder: string | undefined } | undefined;

  /** @param defaultName `MODEL_NAME`. @param main the model behind `/predict`. */
  constructor(defaultName: string | undefined, main: Model) {
    this.#defaultName = defaultName;
    this.#main = main;
  }

  /** The version that `/predict` serves. @throws ServingError as `chooseDefault` and `chooseVersion` do */
  pickMain(layout: Layout): ListedVersion {
    return chooseVersion(layout, chooseDefault(layout, this.#defaultName), undefined);
  }

  /** Whether the name is that of the model behind `/predict`. */
  isMain(layout: Layout, name: string): boolean {
    if (this.#main.live()?.name === name && !layout.models.has(name)) return true;
    return this.isMainFolder(layout, name);
  }

  isMainFolder(layout: Layout | undefined, folder: string): boolean {
    return layout !== undefined && this.#mainFolder(layout) === folder;
  }

  /** The folder of a name; the name itself unless it is that of the model behind `/predict`. */
  folderOf(layout: Layout, name: string): string {
    return this.isMain(layout, name) ? this.#mainFolder(layout)! : name;
  }

  /** Whether the listing has the model, and the version if a number is given. */
  exists(layout: Layout, name: string, number: string | undefined): boolean {
    if (number === undefined && this.isMain(layout, name)) return true;
    const versions = layout.models.get(this.folderOf(layout, name));
    return versions !== undefined && (number === undefined || versions.some((version) => version.number === number));
  }

  #mainFolder(layout: Layout): string | undefined {
    if (this.#found?.layout !== layout) {
      let folder: string | undefined;
      try {
        folder = chooseDefault(layout, this.#defaultName);
      } catch {}
      this.#found = { layout, folder };
    }
    return this.#found.folder;
  }
}
