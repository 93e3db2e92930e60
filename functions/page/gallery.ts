import { byId, el } from './dom.ts';
import { toJson } from './json.ts';
import { pictureIn } from './media/picture-file.ts';
import { type GoldenRow, inputsOf, type ModelInfo } from './model.ts';
import { expectedOf, plainOf } from './result/words.ts';
import { cut } from './text.ts';

/** Most characters of a card's text. */
const LONGEST = 90;

/** Shows golden rows as cards. @param onChosen called with the features of one. */
export function showGallery(model: ModelInfo, rows: readonly GoldenRow[], onChosen: (features: unknown) => void): void {
  const isPicture = model.preparation?.kind === 'picture';
  byId('gallery').hidden = rows.length === 0;
  byId('cards').replaceChildren(
    ...rows.map((row, i) => {
      const card = el(
        'button',
        { type: 'button', class: 'card' },
        ...pictureOf(model, row.features),
        el('strong', {}, cut(expectedOf(model, row) ?? `Example ${i + 1}`, 60)),
        ...(isPicture ? [] : [el('span', {}, inputText(model, row.features))]),
      );
      card.addEventListener('click', () => onChosen(row.features));
      return el('li', {}, card);
    }),
  );
}

/** The picture of a row, if the model takes one. The label of the card says what it shows. */
function pictureOf({ preparation }: ModelInfo, features: unknown): HTMLElement[] {
  const file = preparation?.kind === 'picture' ? pictureIn(features) : undefined;
  if (file === undefined) return [];
  const src = URL.createObjectURL(file);
  const image = el('img', { src, alt: '' });
  image.addEventListener('load', () => URL.revokeObjectURL(src));
  return [image];
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
