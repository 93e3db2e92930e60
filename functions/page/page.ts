import { createBatch } from './batch.ts';
import { createCode } from './code.ts';
import { byId, el, urlOf } from './dom.ts';
import { Failure, send } from './failure.ts';
import type { ModelInfo, Spec } from './fields.ts';
import { createForm, type InputForm } from './form.ts';
import { parseJson } from './json.ts';
import { createHistory, type Prediction, showFailure, showPrediction } from './result.ts';
import { type Status, watchStatus } from './status.ts';

let model: ModelInfo | undefined;
let form: InputForm | undefined;
/** The name and version of the model that the page shows, or loads. */
let shown = '';

const code = createCode();
const history = createHistory((body) => {
  form?.fill((parseJson(body) as { features: unknown }).features);
  drawCode();
  byId('inputs').querySelector<HTMLElement>('input, textarea, select')?.focus();
});
const predictButton = byId<HTMLButtonElement>('predict');
const result = byId('result');

async function onStatus({ state, name, version }: Status): Promise<void> {
  const serves = state === 'ready' || state === 'degraded';
  predictButton.disabled = !serves;
  const wanted = JSON.stringify([name, version]);
  if (!serves || wanted === shown) return;
  shown = wanted;
  try {
    const document = parseJson(await (await fetch(urlOf('openapi.json'))).text()) as { 'x-model'?: ModelInfo };
    if (document['x-model'] === undefined) shown = '';
    else show(document['x-model']);
  } catch {
    // The next status tries again.
    shown = '';
  }
}

function show(next: ModelInfo): void {
  model = next;
  document.title = `${next.name}: try the model`;
  byId('name').textContent = next.name;
  byId('version').textContent = `version ${next.version}`;
  byId('description').textContent = next.description ?? '';
  byId('signature').replaceChildren(
    ...next.inputs.map(signatureRow('Input')),
    ...next.outputs.map(signatureRow('Output')),
  );
  form = createForm(next);
  byId('main').hidden = false;
  byId('waiting').hidden = true;
  drawCode();
}

const signatureRow =
  (what: string) =>
  ({ name, dtype, shape }: Spec): HTMLElement =>
    el(
      'tr',
      {},
      el('td', {}, what),
      el('td', {}, el('code', {}, name)),
      el('td', {}, dtype),
      el('td', {}, `[${shape.map((dim) => (dim === -1 ? 'any' : dim)).join(', ')}]`),
    );

/** Shows the request as code; an incomplete form changes nothing. */
function drawCode(): void {
  try {
    if (form !== undefined) code.show(form.body());
  } catch {}
}

async function predict(): Promise<void> {
  if (model === undefined || form === undefined || predictButton.disabled) return;
  form.clearMarks();
  try {
    const body = form.body();
    result.setAttribute('aria-busy', 'true');
    const started = performance.now();
    const text = await (await send(urlOf('predict'), 'application/json', body)).text();
    const milliseconds = performance.now() - started;
    const prediction = parseJson(text) as Prediction;
    result.replaceChildren(...showPrediction(model, prediction, milliseconds));
    history.add(body, prediction, milliseconds);
  } catch (error) {
    const failure = error instanceof Failure ? error : new Failure('The prediction failed.', String(error));
    result.replaceChildren(...showFailure(failure));
    form.mark(failure);
  } finally {
    result.removeAttribute('aria-busy');
  }
}

byId('inputs').addEventListener('submit', (event) => {
  event.preventDefault();
  void predict();
});
byId('inputs').addEventListener('input', drawCode);
byId('inputs').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void predict();
});
byId('reset').addEventListener('click', () => {
  if (model !== undefined) form?.fill(model.example?.features);
  drawCode();
});
// Makes scrollable elements accessible by keyboard.
for (const scroller of document.querySelectorAll<HTMLElement>('.scroll')) scroller.tabIndex = 0;
createBatch(() => model);
watchStatus((status) => void onStatus(status));
