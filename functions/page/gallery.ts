import { byId, el } from './dom.ts';
import { toJson } from './json.ts';
import { type GoldenRow, inputsOf, type ModelInfo } from './model.ts';
import { expectedOf, plainOf } from './result/words.ts';
import { cut } from './text.ts';

/** Most characters of a card's text. */
const LONGEST = 90;

/** Shows golden rows as cards. @param onChosen called with the features of one. */
export function showGallery(model: ModelInfo, rows: readonly GoldenRow[], onChosen: (features: unknown) => void): void {
  byId('gallery').hidden = rows.length === 0;
  byId('cards').replaceChildren(
    ...rows.map((row, i) => {
      const card = el(
        'button',
        { type: 'button', class: 'card' },
        el('strong', {}, cut(expectedOf(model, row) ?? `Example ${i + 1}`, 60)),
        el('span', {}, inputText(model, row.features)),
      );
      card.addEventListener('click', () => onChosen(row.features));
      return el('li', {}, card);
    }),
  );
}

/** The values of a row: with their names if there are a few. */
function inputText(model: ModelInfo, features: unknown): string {
  const values = inputsOf(model, features);
  const names = model.inputs.length > 1 ? model.inputs.map(({ name }) => name) : undefined;
  if (names === undefined) {
    const [only] = values;
    const flat =
      Array.isArray(only) && only.every((value) => !Array.isArray(value)) ? only.map(plain).join(' · ') : plain(only);
    return cut(flat, LONGEST);
  }
  return cut(values.map((value, i) => `${names[i]} ${plain(value)}`).join(' · '), LONGEST);
}

function plain(value: unknown): string {
  const only = plainOf(value);
  return typeof only === 'string' ? only : toJson(only ?? null);
}
