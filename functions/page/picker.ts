import { byId, el, urlOf } from './dom.ts';
import { get } from './failure.ts';
import type { Target } from './model.ts';

/** A model of `GET /models`. */
export interface Listed {
  readonly name: string;
  readonly versions: readonly { readonly version?: string; readonly state: string }[];
}

/** The models that the caller may use. @throws Failure */
export async function listModels(): Promise<Listed[]> {
  const { models } = (await (await get(urlOf('models'))).json()) as { models: Listed[] };
  return models;
}

interface PickerOptions {
  readonly models: readonly Listed[];
  /** The name of the model behind `/predict`; undefined if there is none. */
  readonly main: string | undefined;
  readonly target: Target;
  onChosen(target: Target): void;
}

/** Shows which model and version the page shows, as drop-downs if there are several. */
export function showPicker({ models, main, target, onChosen }: PickerOptions): void {
  const names = models.map(({ name }) => name);
  const shown = target.name ?? main;
  const versions = models.find(({ name }) => name === shown)?.versions ?? [];
  const model = byId<HTMLSelectElement>('model');
  const version = byId<HTMLSelectElement>('model-version');
  const option = (value: string, text: string, selected: boolean): HTMLElement =>
    el('option', { value, selected }, text);
  byId('model-field').hidden = names.length < 2;
  byId('version-field').hidden = versions.length < 2 || shown === undefined;
  // The model behind `/predict` may have another name in its `model.json` than its folder has.
  const known = shown !== undefined && names.includes(shown);
  model.replaceChildren(
    ...(known ? [] : [option('', shown ?? 'Choose a model', true)]),
    ...names.map((name) => option(name, name === main ? `${name} (/predict)` : name, name === shown)),
  );
  version.replaceChildren(
    option('', 'latest', target.version === undefined),
    ...versions.map(({ version: own = '' }) => option(own, own, own === target.version)),
  );
  model.onchange = () => onChosen(model.value === main || model.value === '' ? {} : { name: model.value });
  version.onchange = () => {
    const name = shown!;
    if (version.value !== '') onChosen({ name, version: version.value });
    else onChosen(name === main ? {} : { name });
  };
}

/** Shows the models of a repository without one behind `/predict`, to choose from. */
export function showCatalogue(models: readonly Listed[], onChosen: (target: Target) => void): void {
  byId('catalogue-list').replaceChildren(
    ...models.map(({ name, versions }) => {
      const states = new Set(versions.map(({ state }) => state));
      const count = versions.length === 1 ? '1 version' : `${versions.length} versions`;
      const state = states.has('ready') ? 'ready' : ([...states][0] ?? 'idle');
      const facts = el('span', {}, `${count} · ${state === 'idle' ? 'loads when it is used' : state}`);
      const card = el('button', { type: 'button', class: 'card' }, el('strong', {}, name), facts);
      card.addEventListener('click', () => onChosen({ name }));
      return el('li', {}, card);
    }),
  );
}
