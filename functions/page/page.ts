import { createBatch, type Shown } from './batch/batch.ts';
import { createCode } from './code/code.ts';
import { byId, copyText, el, urlOf } from './dom.ts';
import { get, send, toFailure } from './failure.ts';
import { createForm, type InputForm } from './form/form.ts';
import { showGallery } from './gallery.ts';
import { parseJson } from './json.ts';
import { readLink, writeLink } from './link.ts';
import { createLive } from './live/live.ts';
import { type GoldenRow, type ModelInfo, type Prediction, pathOf, type Spec, shapeText, type Target } from './model.ts';
import { type Listed, listModels, showCatalogue, showPicker } from './picker.ts';
import { createHistory } from './result/history.ts';
import { showFailure, showPrediction } from './result/result.ts';
import { titleOf } from './result/words.ts';
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
    const { model, examples } = parseJson(text) as { model: ModelInfo; examples: GoldenRow[] };
    show(model, examples);
  } catch {
    // The next status tries again.
    if (wanted === described) described = '';
  }
}

function show(model: ModelInfo, examples: readonly GoldenRow[]): void {
  shown = { model, target };
  document.title = `${model.name}: try the model`;
  byId('name').textContent = model.name;
  byId('version').textContent = `version ${model.version}`;
  byId('description').textContent = model.description ?? '';
  byId('signature').replaceChildren(
    ...model.inputs.map(signatureRow('Input')),
    ...model.outputs.map(signatureRow('Output')),
  );
  form = createForm(model, drawCode);
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
  ({ name, dtype, shape, anyRank }: Spec): HTMLElement =>
    el(
      'tr',
      {},
      el('td', {}, what),
      el('td', {}, el('code', {}, name)),
      el('td', {}, dtype),
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
    if (form !== undefined && shown !== undefined) code.show(shown.target, form.features());
  } catch {}
}

async function predict(): Promise<void> {
  const [now, inputs] = [shown, form];
  if (now === undefined || inputs === undefined || !isReady) return;
  const own = ++started;
  inputs.clearMarks();
  try {
    const features = inputs.features();
    result.setAttribute('aria-busy', 'true');
    const from = performance.now();
    const url = urlOf(pathOf(now.target, 'predict'));
    const text = await (await send(url, 'application/json', `{"features":${features}}`)).text();
    const milliseconds = performance.now() - from;
    live.answered(milliseconds);
    if (own !== started || now !== shown) return;
    const prediction = parseJson(text) as Prediction;
    result.replaceChildren(...showPrediction(now.model, prediction, { milliseconds, text }));
    history.add({ features, title: titleOf(now.model, prediction), milliseconds });
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
