import { createStore, type ModelStore } from '../../functions/model/fetch/store.ts';
import { type ModelFiles, readFiles } from '../../functions/model/folder/files.ts';
import { chooseDefault, chooseVersion, type Layout } from '../../functions/model/folder/layout.ts';
import { weightPaths } from '../../functions/model/folder/weights.ts';

/** The store of a folder or a file, as a server with that `MODEL_URI` has it. */
export function localStore(uri: string): ModelStore {
  return createStore({ uri, cache: undefined, filesAreMemory: false }, { onRetry: () => {}, onCache: () => {} });
}

/** Picks what is behind `/predict`. */
export const pickMain = (layout: Layout, name?: string) =>
  chooseVersion(layout, chooseDefault(layout, name), undefined);

/** The files of the model behind `/predict`, as they are given to its engines. */
export async function localFiles(uri: string, name?: string): Promise<ModelFiles> {
  const store = localStore(uri);
  const version = pickMain(await store.list(false), name);
  const local = await store.fetchModel(version, { background: false, sha256: undefined, onBytes: () => {} });
  const weights = weightPaths(version.file, local.external, local.folder);
  const files = await readFiles({ root: store.root, version, folder: local.folder, weights, local: true });
  store.close();
  return files;
}
