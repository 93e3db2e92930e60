import { posix } from 'node:path';
import type { Preparation } from '../../../engine/prepared/preparation.ts';
import type { PictureSettings } from '../../../pictures/settings.ts';
import type { Found, TextSettings } from '../../../text/settings.ts';

/** A value of a preparation, and the file and field that it comes from: `sentence_bert_config.json: max_seq_length`, or `default`. */
export interface DescribedValue {
  readonly value: unknown;
  readonly from: string;
}

/** How a model's inputs are made, for people: by the names that values have in JSON. */
export interface DescribedPreparation {
  readonly kind: Preparation['kind'];
  readonly values: Readonly<Record<string, DescribedValue>>;
}

/** Describes what was understood of the files beside a model. Of labels the number, of prompts the names. */
export function describePreparation(preparation: Preparation): DescribedPreparation {
  const all = valuesOf(preparation);
  const values = Object.entries(all).filter((one): one is [string, DescribedValue] => one[1] !== undefined);
  return { kind: preparation.kind, values: Object.fromEntries(values) };
}

function valuesOf(preparation: Preparation): Values {
  if (preparation.kind === 'text') return textValues(preparation.settings);
  if (preparation.kind === 'picture') return pictureValues(preparation.settings);
  const file = posix.basename(preparation.place);
  return { file: { value: file, from: file } };
}

/** The same as a JSON object: the kind, and each value by its name. */
export function preparationDocument(preparation: Preparation): Readonly<Record<string, unknown>> {
  const { kind, values } = describePreparation(preparation);
  return { kind, ...values };
}

/** The place of a value as text. */
export const placeOfValue = ({ file, field }: Found<unknown>): string => (field === '' ? file : `${file}: ${field}`);

type Values = Record<string, DescribedValue | undefined>;

function textValues(settings: TextSettings): Values {
  const { labels, prompts } = settings;
  return {
    task: shown(settings.task),
    max_length: shown(settings.maxLength),
    truncation_side: shown(settings.truncationSide),
    lower_case: settings.lowerCase.value ? shown(settings.lowerCase) : undefined,
    pooling: shown(settings.pooling),
    normalize: shown(settings.normalize),
    dimensions: shown(settings.dimensions),
    prompts: prompts && { ...shown(prompts)!, value: Object.keys(prompts.value) },
    default_prompt: shown(settings.defaultPrompt),
    labels: labels && { ...shown(labels)!, value: labels.value.length },
    activation: shown(settings.activation),
    aggregation: shown(settings.aggregation),
  };
}

function shown(found: Found<unknown> | undefined): DescribedValue | undefined {
  return found && { value: found.value, from: placeOfValue(found) };
}

function pictureValues({ geometry, normalisation, labels, sources }: PictureSettings): Values {
  const { resize, crop, pad } = geometry;
  const from = (field: string, value: unknown): DescribedValue | undefined =>
    value === undefined ? undefined : { value, from: sources[field] ?? 'default' };
  const { scale, mean, std, order } = normalisation;
  return {
    resize: from('size', resize?.size),
    filter: from('resample', resize?.filter),
    crop: from('crop_size', crop),
    pad: from(sources.pad_size === 'default' ? 'size' : 'pad_size', pad),
    scale: from('rescale_factor', scale),
    mean: from('image_mean', mean),
    std: from('image_std', std),
    order: from('do_flip_channel_order', order),
    labels: from('labels', labels?.length),
  };
}
