/** What OpenAI's API says about a model (https://platform.openai.com/docs/api-reference/models/object). */
export interface OpenAiModel {
  readonly id: string;
  readonly object: 'model';
  /** Unix time in seconds. */
  readonly created: number;
  readonly owned_by: string;
}

/** The files of a model have no time of creation that is the same in every source: this is when the server started. */
const STARTED = Math.floor(performance.timeOrigin / 1000);

/** Describes a model by its name. */
export const showModel = (id: string): OpenAiModel => ({
  id,
  object: 'model',
  created: STARTED,
  owned_by: 'onnx-cloud-run',
});
