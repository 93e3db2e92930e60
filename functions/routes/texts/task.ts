import { ServingError } from '../../errors.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { shorten } from '../../shorten.ts';
import type { TextSettings, TextTask } from '../../text/settings.ts';

type Described = Pick<Generation, 'name' | 'preparation'>;

/** What a model of each task is for, in an error message. */
const PURPOSES: Readonly<Record<TextTask, string>> = {
  embedding: 'embeddings',
  classification: 'classification',
  reranking: 'reranking',
  'token-classification': 'token classification',
};

/** The settings of a model of texts. @throws ServingError `UNSUPPORTED` for a model of tensors or pictures */
export function requireText({ name, preparation }: Described): TextSettings {
  if (preparation?.kind === 'text') return preparation.settings;
  const takes = preparation === undefined ? 'tensors' : 'pictures';
  const message = `the model ${shorten(name)} takes ${takes} instead of texts: send its rows to /predict`;
  throw new ServingError('UNSUPPORTED', message);
}

/** The settings of a model for one of these tasks. @throws ServingError `UNSUPPORTED` that says which task the model has */
export function requireTask(live: Described, ...tasks: TextTask[]): TextSettings {
  const settings = requireText(live);
  const task = settings.task?.value;
  if (task !== undefined && tasks.includes(task)) return settings;
  const wanted = tasks.map((one) => PURPOSES[one]).join(' or ');
  const own = task === undefined ? 'a model of texts without a task' : `a model for ${PURPOSES[task]}`;
  throw new ServingError('UNSUPPORTED', `expected a model for ${wanted}: ${shorten(live.name)} is ${own}`);
}
