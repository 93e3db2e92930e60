import { createBatch, type Shown } from './batch/batch.ts';
import { createCode } from './code/code.ts';
import { byId, copyText, el, urlOf } from './dom.ts';
import { get, toFailure } from './failure.ts';
import { createForm, type InputForm } from './form/form.ts';
import { showGallery } from './gallery.ts';
import { parseJson } from './json.ts';
import { readLink, writeLink } from './link.ts';
import { createLive } from './live/live.ts';
import { closeCamera } from './media/camera.ts';
import { createPictureForm } from './media/picture-form.ts';
import { predictSent, type Sent } from './media/sent.ts';
import { createTextForm } from './media/text-form.ts';
import { type GoldenRow, type ModelInfo, pathOf, type Spec, shapeText, type Target } from './model.ts';
import { type Listed, listModels, showCatalogue, showPicker } from './picker.ts';
import { showAnswer } from './result/answer.ts';
import { createHistory } from './result/history.ts';
import { showFailure } from './result/result.ts';
import { tokenNow } from './session.ts';
import { createStatusWatch, type Status, serves } from './status.ts';
import { createTokenBar } from './token.ts';

const linked = readLink(location.hash) ?? {};
let target: Target = targetOf(linked);
/** The features of a link, until the form is there. */
let pending = linked.features;
let shown: Shown | undefined;
let form: InputForm | undefined;
let models: readonly Listed[] = [];
/** What the form is made for, or is being made for. */
let described = '';
/** The name of the model behind `/predict`, once it is known. */
let main: string | undefined;
let isReady = false;
/** Predictions that were started: only the last one is shown. */
let started = 0;

const predictButton = byId<HTMLButtonElement>('predict');
const result = byId('result');
const live = createLive();
const code = createCode();
const history = createHistory((features) => fill(parseJson(features)));
const batch = createBatch(() => shown);
const tokenBar = createTokenBar(() => {
  live.restart();
  connect();
});
const status = createStatusWatch(onStatus);

function targetOf({ name, version }: Target): Target {
  return { ...(name !== undefined && { name }), ...(version !== undefined && { version }) };
}

/** Lists the models, and follows the state of the one that is shown. */
function connect(): void {
  described = '';
  listModels()
    .then((listed) => {
      models = listed;
    })
    .catch(() => {})
    .finally(() => status.watch(target));
}

function choose(next: Target): void {
  target = next;
  pending = undefined;
  const fragment = writeLink(next) ?? '';
  window.history.replaceState(null, '', fragment === '' ? location.pathname + location.search : `#${fragment}`);
  hideModel();
  connect();
}

function hideModel(): void {
  closeCamera();
  shown = undefined;
  form = undefined;
  described = '';
  byId('main').hidden = true;
  byId('signature-section').hidden = true;
  byId('waiting').hidden = false;
  byId('description').textContent = '';
  byId('version').textContent = '';
  history.clear();
  batch.clear();
  showNothing();
}

function onStatus(now: Status | undefined): boolean {
  const isMain = target.name === undefined;
  const isListed = models.some(({ name }) => name === now?.name);
  const hasNone = isMain && models.length > 0 && (now === undefined || (now.state === 'failed' && !isListed));
  if (isMain) main = hasNone || now === undefined || now.state === 'idle' ? undefined : now.name;
  byId('catalogue').hidden = !hasNone;
  byId('waiting').hidden = hasNone || shown !== undefined;
  byId('status-title').parentElement!.hidden = hasNone;
  if (hasNone) {
    byId('name').textContent = 'Models';
    showCatalogue(models, choose);
  }
  if (now === undefined && !hasNone) tokenBar.ask(tokenNow() !== '');
  showPicker({ models, main, target, onChosen: choose });
  isReady = now !== undefined && serves(now);
  predictButton.disabled = !isReady;
  if (now !== undefined && isReady) void describe(now);
  else if (now !== undefined && !hasNone && shown === undefined) byId('name').textContent = target.name ?? now.name;
  return now !== undefined && !hasNone;
}

async function describe({ name, version }: Status): Promise<void> {
  const wanted = JSON.stringify([target, name, version]);
  if (wanted === described) return;
  described = wanted;
  try {
    const path = pathOf({ ...target, name: target.name ?? name }, 'examples');
    const text = await (await get(urlOf(path))).text();
    if (wanted !== described) return;
    show(parseJson(text) as Description);
  } catch {
    // The next status tries again.
    if (wanted === described) described = '';
  }
}

/** A response of `/models/{name}/examples`. */
interface Description {
  readonly model: ModelInfo;
  readonly examples: readonly GoldenRow[];
  /** Whether the model has its example; otherwise it is made up. */
  readonly has_example: boolean;
  readonly max_body_bytes: number;
}

function show({ model: described, examples, ...facts }: Description): void {
  const { example, ...rest } = described;
  const isPicture = described.preparation?.kind === 'picture';
  // A made-up text or picture is of no use: the form has others.
  const model: ModelInfo = described.preparation === undefined || facts.has_example ? described : rest;
  shown = { model, target };
  document.title = `${model.name}: try the model`;
  byId('name').textContent = model.name;
  byId('version').textContent = `version ${model.version}`;
  byId('description').textContent = model.description ?? '';
  byId('signature').replaceChildren(
    ...model.inputs.map(signatureRow('Input')),
    ...model.outputs.map(signatureRow('Output')),
  );
  form =
    model.preparation?.kind === 'text'
      ? createTextForm(model)
      : isPicture
        ? createPictureForm({
            example: model.example?.features,
            maxBytes: facts.max_body_bytes,
            onChange: drawCode,
            onGiven: () => void predict(),
          })
        : createForm(model, drawCode);
  byId('reset').hidden = isPicture && model.example === undefined;
  // A file of rows has no pictures.
  byId('batch-title').parentElement!.hidden = isPicture;
  showGallery(model, examples, (features) => {
    fill(features);
    void predict();
  });
  showNothing();
  byId('main').hidden = false;
  byId('signature-section').hidden = false;
  byId('waiting').hidden = true;
  if (pending !== undefined) form.fill(parseJson(pending));
  pending = undefined;
  drawCode();
}

const signatureRow =
  (what: string) =>
  ({ name, dtype, shape, anyRank, bytes }: Spec): HTMLElement =>
    el(
      'tr',
      {},
      el('td', {}, what),
      el('td', {}, el('code', {}, name)),
      el('td', {}, bytes ? 'picture' : dtype),
      el('td', {}, anyRank ? 'any' : shapeText(shape)),
    );

function showNothing(): void {
  result.replaceChildren(
    el('p', { class: 'empty' }, 'Nothing predicted yet.', el('br'), 'Fill the inputs in, and press Predict.'),
  );
}

function fill(features: unknown): void {
  form?.fill(features);
  drawCode();
}

/** Shows the request as code; an incomplete form changes nothing. */
function drawCode(): void {
  byId('shared').textContent = '';
  try {
    if (form !== undefined && shown !== undefined) code.show(shown, form.sent());
  } catch {}
}

/** Most bytes of a picture that can be used again from the list of the last predictions. */
const MOST_KEPT = 50_000;

/** The input of the list of the last predictions: of a picture the name. */
function pastOf(inputs: InputForm, sent: Sent): { input: string; features: string | undefined } {
  if (sent.kind !== 'picture') {
    const features = inputs.features();
    return { input: features, features };
  }
  const { name, size } = sent.file;
  return { input: name, features: size > MOST_KEPT ? undefined : inputs.features() };
}

async function predict(): Promise<void> {
  const [now, inputs] = [shown, form];
  if (now === undefined || inputs === undefined || !isReady) return;
  const own = ++started;
  inputs.clearMarks();
  try {
    const sent = inputs.sent();
    // The form may change while the server predicts.
    const past = pastOf(inputs, sent);
    result.setAttribute('aria-busy', 'true');
    const from = performance.now();
    const received = await predictSent(now.target, sent);
    const milliseconds = performance.now() - from;
    live.answered(milliseconds);
    if (own !== started || now !== shown) return;
    const { title, nodes } = showAnswer(now.model, sent, received, milliseconds);
    result.replaceChildren(...nodes);
    history.add({ ...past, title, milliseconds });
    // On narrow screens it is below the inputs.
    result.parentElement!.scrollIntoView({ block: 'nearest' });
  } catch (error) {
    if (own !== started || now !== shown) return;
    const failure = toFailure(error, 'The prediction failed.');
    result.replaceChildren(...showFailure(failure, inputs.mark(failure)));
  } finally {
    if (own === started) result.removeAttribute('aria-busy');
  }
}

async function share(): Promise<void> {
  if (form === undefined) return;
  const note = byId('shared');
  try {
    const fragment = writeLink({ ...target, features: form.features() });
    if (fragment === undefined) {
      note.textContent = 'These inputs are too long for a link.';
      return;
    }
    window.history.replaceState(null, '', `#${fragment}`);
    note.textContent = (await copyText(location.href)) ? 'Link copied' : 'The link is in the address bar';
  } catch (error) {
    form.mark(toFailure(error, ''));
  }
}

// Makes scrollable elements accessible by keyboard.
for (const scroller of document.querySelectorAll<HTMLElement>('.scroll')) scroller.tabIndex = 0;
byId('inputs').addEventListener('submit', (event) => {
  event.preventDefault();
  void predict();
});
byId('inputs').addEventListener('input', drawCode);
byId('inputs').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void predict();
});
document.querySelector('.skip')!.addEventListener('click', (event) => {
  // The address keeps its link.
  event.preventDefault();
  byId('inputs').querySelector<HTMLElement>('input, textarea, select')?.focus();
});
byId('reset').addEventListener('click', () => fill(shown?.model.example?.features));
byId('share').addEventListener('click', () => void share());
window.addEventListener('hashchange', () => {
  const link = readLink(location.hash);
  if (link === undefined) return;
  const { features, ...next } = link;
  if (JSON.stringify(next) !== JSON.stringify(target)) choose(next);
  if (shown === undefined) pending = features;
  else if (features !== undefined) fill(parseJson(features));
});
connect();
