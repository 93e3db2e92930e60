import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Preparation } from '../../../functions/engine/prepared/preparation.ts';
import type { Repository } from '../../../functions/model/repository/repository.ts';
import type { ModelStatus } from '../../../functions/model/serving/model.ts';
import { writeDocument } from '../../../functions/routes/openapi/document.ts';
import { createModelRoutes, showModel, showStatus } from '../../../functions/routes/status/models.ts';
import { readTextSettings } from '../../../functions/text/settings.ts';

const STATUS: ModelStatus = {
  name: 'iris',
  version: '2',
  state: 'ready',
  phase: undefined,
  bytes: 354,
  fetched: undefined,
  seconds: 0.12349,
  reason: undefined,
  batching: undefined,
  refused: undefined,
};

test('a status shows what there is to be said, in the words of JSON', () => {
  const show = (status: Partial<ModelStatus>) => JSON.parse(JSON.stringify(showStatus({ ...STATUS, ...status })));
  assert.deepEqual(show({}), { name: 'iris', version: '2', state: 'ready', bytes: 354, load_seconds: 0.123 });
  const loading = { version: undefined, state: 'loading', phase: 'fetching', fetched: 100 } as const;
  assert.deepEqual(show(loading), {
    name: 'iris',
    state: 'loading',
    phase: 'fetching',
    bytes: 354,
    fetched_bytes: 100,
    load_seconds: 0.123,
  });
  assert.equal(show({ refused: 'golden.json: …' }).refresh_error, 'golden.json: …');
  const batching = {
    enabled: false,
    decidedBy: 'proof',
    reason: 'operator TopK, node best: it sorts the rows',
  } as const;
  assert.deepEqual(JSON.parse(JSON.stringify(showModel({ ...STATUS, batching }))), {
    ...show({}),
    batching: { enabled: false, decided_by: 'proof', reason: batching.reason },
  });
});

test('the status of a model of texts has each value of its preparation with the file and field, and that of /health has none', () => {
  const texts = new Map([
    ['config.json', JSON.stringify({ architectures: ['BertModel'], max_position_embeddings: 512 })],
  ]);
  const preparation: Preparation = {
    kind: 'text',
    settings: readTextSettings(texts, { maxLength: 48, prompts: { query: 'secret: ' } }),
    tokenizer: '/m/tokenizer.json',
    place: '/m/tokenizer.json',
    specialNames: 'text',
  };
  const shown = JSON.parse(JSON.stringify(showModel({ ...STATUS, preparation }))) as { preparation: object };
  assert.deepEqual(shown.preparation, {
    kind: 'text',
    task: { value: 'embedding', from: 'config.json: architectures.0' },
    max_length: { value: 48, from: 'model.json: input.text.maxLength' },
    truncation_side: { value: 'right', from: 'default' },
    pooling: { value: 'mean', from: 'default' },
    normalize: { value: false, from: 'default' },
    prompts: { value: ['query'], from: 'model.json: input.text.prompts' },
  });
  assert.ok(!('preparation' in showStatus({ ...STATUS, preparation })));
  const schema = JSON.parse(writeDocument([], undefined)).components.schemas.ModelStatus.properties.preparation;
  assert.deepEqual([schema.required, schema.additionalProperties.$ref], [['kind'], '#/components/schemas/PreparedBy']);
});

test('the list has each model with its versions and their states, idle if it was not requested', async () => {
  const repository = {
    list: async () => [
      {
        name: 'iris',
        versions: [
          { number: '2', status: STATUS },
          { number: '1', status: undefined },
        ],
      },
      { name: 'lily', versions: [{ number: undefined, status: { ...STATUS, version: 'v7', state: 'failed' } }] },
    ],
  } as unknown as Repository;
  const [list] = createModelRoutes(repository);
  const sent: string[] = [];
  const res = { writeHead: () => {}, end: (text: string) => sent.push(text) };
  await list!.handle({ res, id: 'x', params: {} } as never, undefined as never);
  assert.deepEqual(JSON.parse(sent.join('')), {
    models: [
      {
        name: 'iris',
        versions: [
          { version: '2', state: 'ready' },
          { version: '1', state: 'idle' },
        ],
      },
      { name: 'lily', versions: [{ version: 'v7', state: 'failed' }] },
    ],
  });
});
