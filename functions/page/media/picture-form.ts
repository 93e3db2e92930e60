import { byId, el } from '../dom.ts';
import { Failure } from '../failure.ts';
import type { InputForm } from '../form/form.ts';
import { bytesText, cut } from '../text.ts';
import { closeCamera, createCamera } from './camera.ts';
import { listenForDrops } from './drop.ts';
import { ACCEPTED, base64Of, KINDS, pictureIn, refusalOf } from './picture-file.ts';

/** What the form of a picture needs. */
interface PictureFormOptions {
  /** The `features` of the model's example; undefined if it has none. */
  readonly example: unknown;
  /** Most bytes of a request. */
  readonly maxBytes: number;
  /** Called when the picture has changed. */
  onChange(): void;
  /** Called when the user has given a picture, which is to be predicted. */
  onGiven(): void;
}

/** A picture that is sent, with its bytes. */
interface Chosen {
  readonly file: File;
  readonly bytes: Uint8Array;
}

/** What takes a pasted picture: the form that the page shows now. */
let takePasted: (file: File) => void = () => {};
let isListening = false;

/** The page listens once, whatever number of forms it makes. Texts are pasted as ever. */
function listenForPastes(): void {
  if (isListening) return;
  isListening = true;
  document.addEventListener('paste', (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith('image/'));
    if (file === undefined) return;
    event.preventDefault();
    takePasted(file);
  });
}

/** Creates what shows the picture that is sent, with its name and size. */
function createPreview(): { element: HTMLElement; show(file: File | undefined): void } {
  const element = el('figure', { class: 'preview' });
  let address = '';
  function show(file: File | undefined): void {
    URL.revokeObjectURL(address);
    element.hidden = file === undefined;
    element.replaceChildren();
    if (file === undefined) return;
    const name = cut(file.name, 60);
    const caption = `${name}, ${bytesText(file.size)}`;
    address = URL.createObjectURL(file);
    const image = el('img', { src: address, alt: `The picture that is sent: ${name}` });
    const words = el('figcaption', { class: 'muted' }, caption);
    image.addEventListener('load', () => {
      words.textContent = `${caption}, ${image.naturalWidth} × ${image.naturalHeight}`;
    });
    image.addEventListener('error', () => {
      words.textContent = `${caption}: the browser cannot show it`;
    });
    element.append(image, words);
  }
  return { element, show };
}

/** Creates the form of a model that takes a picture: chosen, dropped, pasted, or taken by the camera. */
export function createPictureForm({ example, maxBytes, onChange, onGiven }: PictureFormOptions): InputForm {
  closeCamera();
  const problem = el('p', { class: 'field-error', role: 'alert', id: 'picture-error' });
  const hint = el('p', { class: 'muted', id: 'picture-hint' }, `${KINDS}, at most ${bytesText(maxBytes)}.`);
  const input = el('input', {
    ...{ type: 'file', id: 'picture', class: 'hidden', accept: ACCEPTED },
    'aria-describedby': 'picture-hint picture-error',
  });
  const camera = createCamera({ onPicture: (file) => void take(file), onProblem: showProblem });
  const preview = createPreview();
  const ways = el(
    'p',
    { class: 'ways' },
    ...[input, el('label', { for: input.id, class: 'button' }, 'Choose a picture')],
    ...(camera === undefined ? [] : [camera.button]),
    el('span', {}, 'or drop or paste one here'),
  );
  const zone = el('div', { class: 'drop', id: 'picture-drop' }, preview.element, ways, hint);
  let chosen: Chosen | undefined;
  /** Files that were read or are being read: only the last one is used. */
  let taken = 0;

  function showProblem(words: string): void {
    problem.textContent = words;
    input.toggleAttribute('aria-invalid', false);
    if (words !== '') input.setAttribute('aria-invalid', 'true');
  }

  function show(next: Chosen | undefined): void {
    chosen = next;
    preview.show(next?.file);
  }

  async function take(file: File, isGiven = true): Promise<void> {
    const own = ++taken;
    const refusal = refusalOf(file, maxBytes);
    showProblem(refusal ?? '');
    if (refusal !== undefined) return;
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      if (own !== taken) return;
      show({ file, bytes });
    } catch (error) {
      return showProblem(`${cut(file.name, 60)} cannot be read: ${(error as Error).message}`);
    }
    onChange();
    if (isGiven) onGiven();
  }

  function fill(features: unknown): void {
    taken++;
    showProblem('');
    show(undefined);
    const file = pictureIn(features);
    if (file !== undefined) void take(file, false);
  }

  function needed(): Chosen {
    if (chosen !== undefined) return chosen;
    throw new Failure('There is no picture yet.', { detail: 'Choose, drop or paste one.', path: 'features' });
  }

  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file !== undefined) void take(file);
    // The same file may be chosen again.
    input.value = '';
  });
  listenForDrops(zone, (file) => void take(file));
  listenForPastes();
  takePasted = (file) => {
    if (zone.isConnected) void take(file);
  };
  byId('dtype').textContent = '';
  byId('fields').replaceChildren(zone, ...(camera === undefined ? [] : [camera.box]), problem);
  fill(example);
  return {
    features: () => JSON.stringify(base64Of(needed().bytes)),
    sent: () => ({ kind: 'picture', file: needed().file }),
    fill,
    mark({ path, detail, message, code }) {
      if (path === undefined && code !== 'INVALID_INPUT') return undefined;
      const words = (detail || message).replace(/^features: /, '');
      showProblem(words);
      input.focus();
      return words;
    },
    clearMarks: () => showProblem(''),
  };
}
