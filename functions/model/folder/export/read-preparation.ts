import type { Preparation } from '../../../engine/prepared/preparation.ts';
import { ServingError } from '../../../errors.ts';
import { readPictureSettings } from '../../../pictures/settings.ts';
import { readTextSettings, type TextSettings } from '../../../text/settings.ts';
import { PREPROCESSOR_FILE, TOKENIZER_FILE } from './export-files.ts';
import type { ImageInput, TextInput } from './input-schema.ts';

/** The files beside a model, and what its `model.json` says of its input. */
export interface ExportFolder {
  /** `input.tensors`, `input.text` and `input.image` of `model.json`. */
  readonly input:
    | {
        readonly tensors?: boolean | undefined;
        readonly text?: TextInput | undefined;
        readonly image?: ImageInput | undefined;
      }
    | undefined;
  /** `classes` of `model.json`. */
  readonly classes: readonly string[] | undefined;
  /** The contents of the settings files that are there, by path: those of an export without `tokenizer.json`. */
  readonly texts: ReadonlyMap<string, string>;
  readonly tokenizer: TokenizerPlace | undefined;
}

/** Where `tokenizer.json` is. */
export interface TokenizerPlace {
  readonly path: string;
  /** Its display name. */
  readonly place: string;
  /** Its stamp as it was listed; undefined if only this process writes to it. */
  readonly stamp: string | undefined;
  /** The first bytes of it. */
  readonly head: string;
}

/** What the files beside a model say of its input. */
export interface ReadPreparation {
  readonly preparation?: Preparation;
  /** The names of the classes of a classifier. */
  readonly classes?: readonly string[] | undefined;
  /** Why callers send tensors although there are files of an export, and how to change that: a line for the log. */
  readonly note?: string;
}

/**
 * How the inputs of a model are made, from `model.json` and the files of a Hugging Face export beside it.
 *
 * The model takes texts if `model.json` has `input.text`; or else if `tokenizer.json` lies beside it, and `modules.json` or
 * `config.json` is that of a model for embeddings, classification, reranking or token classification. It takes pictures if
 * `model.json` has `input.image`; or else if `preprocessor_config.json` lies beside it, and is that of an image processor for three
 * channels. In every other case callers send tensors: with `input.tensors`, without such files, with both of them (a model of texts
 * and pictures), and if the files have something that this server does not do. A value that is not valid fails the model in every
 * case but `input.tensors`: answers that differ from the reference would be worse.
 * @throws ServingError `MODEL_FAILED` that names the file, the field, and what it takes
 */
export function readPreparation(folder: ExportFolder): ReadPreparation {
  const { input } = folder;
  if (input?.tensors === true) return {};
  if (input?.text !== undefined) return explicit(() => readText(folder, input.text!));
  if (input?.image !== undefined) return explicit(() => readPicture(folder, input.image!));
  const [texts, pictures] = [folder.tokenizer !== undefined, folder.texts.has(PREPROCESSOR_FILE)];
  if (texts && pictures) {
    const field = '"input": {"text": {}} or {"image": {}} in model.json makes it one of texts or pictures';
    return { note: `callers send tensors: it has ${TOKENIZER_FILE} and ${PREPROCESSOR_FILE}; ${field}` };
  }
  if (!texts && !pictures) return {};
  try {
    const read = texts ? readText(folder, {}) : readPicture(folder, {});
    if (read.preparation?.kind !== 'text' || read.preparation.settings.task !== undefined) return read;
    const task = `${TOKENIZER_FILE} lies beside it, and no config.json says that it is for embeddings, classification, reranking or token classification`;
    return { note: `callers send tensors: ${task}; "input": {"text": {}} in model.json has it take texts` };
  } catch (error) {
    if (!(error instanceof ServingError)) throw error;
    if (error.code === 'UNSUPPORTED') {
      return { note: `callers send tensors: ${error.message}` };
    }
    const message = `${error.message}; "input": {"tensors": true} in model.json has callers send tensors`;
    throw new ServingError(error.code, message, { cause: error });
  }
}

/** What the files have and this server does not do fails a model whose manifest wants it. */
function explicit(read: () => ReadPreparation): ReadPreparation {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ServingError) || error.code !== 'UNSUPPORTED') throw error;
    throw new ServingError('MODEL_FAILED', error.message, { cause: error });
  }
}

function readText(folder: ExportFolder, { specialTokens, ...choices }: TextInput): ReadPreparation {
  if (folder.tokenizer === undefined) {
    const how =
      "put it there: AutoTokenizer.from_pretrained(…).save_pretrained(folder) of transformers writes it, for a tokenizer of the 'fast' kind";
    throw new ServingError(
      'MODEL_FAILED',
      `model.json: input.text needs ${TOKENIZER_FILE}, which is not beside the model: ${how}`,
    );
  }
  const { path, place, stamp, head } = folder.tokenizer;
  const texts = new Map([...folder.texts, [TOKENIZER_FILE, truncationOf(head)]]);
  const settings = readTextSettings(texts, { ...choices, labels: folder.classes });
  return {
    preparation: {
      kind: 'text',
      settings,
      tokenizer: path,
      place,
      ...(stamp !== undefined && { stamp }),
      specialNames: specialTokens ?? 'text',
    },
    classes: classesOf(settings),
  };
}

function classesOf({ task, labels }: TextSettings): readonly string[] | undefined {
  return task?.value === 'classification' ? labels?.value : undefined;
}

/**
 * The part of `tokenizer.json` that has its truncation, as a document: the library writes it before the vocabulary, which takes long
 * to parse. An empty document if it is not at the beginning.
 */
function truncationOf(head: string): string {
  const [, truncation] = /^\s*\{[^{}[\]]*"truncation"\s*:\s*(\{[^{}]*\})/.exec(head.replace(/^\ufeff/, '')) ?? [];
  return truncation === undefined ? '{}' : `{"truncation":${truncation}}`;
}

function readPicture(folder: ExportFolder, { layout, background, ...choices }: ImageInput): ReadPreparation {
  const files = { preprocessor: folder.texts.get(PREPROCESSOR_FILE), config: folder.texts.get('config.json') };
  const settings = readPictureSettings(files, { ...choices, labels: folder.classes });
  return {
    preparation: {
      kind: 'picture',
      settings,
      ...(layout !== undefined && { layout }),
      ...(background !== undefined && { background: background as [number, number, number] }),
    },
    classes: settings.labels,
  };
}
