/** An input or output of the model; -1 in `shape` is a dimension of any length. */
export interface Spec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly anyRank?: true;
  /** Whether its strings are bytes: those of pictures. */
  readonly bytes?: true;
}

/** A value of a drop-down, as the manifest has it. */
export type Category = string | number | bigint;

/** What turns the main output into scores. */
type Activation = 'softmax' | 'sigmoid' | 'none';

/** What a model of texts is for. */
export type TextTask = 'embedding' | 'classification' | 'token-classification' | 'reranking';

/** What the page needs of a model of texts or pictures. */
interface Preparation {
  readonly kind: 'text' | 'picture';
  readonly task?: { readonly value: TextTask };
  readonly truncation_side?: { readonly value: 'left' | 'right' };
}

/** The description of a model, as `/models/{name}/examples` has it. */
export interface ModelInfo {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  readonly features?: readonly string[];
  /** By feature or input. */
  readonly categories?: Readonly<Record<string, readonly Category[]>>;
  readonly output?: string;
  /** What the scores of the main output need before they are shown; that of `answer` counts. */
  readonly activation?: Activation;
  /** How the response's `scores` are made of the main output. */
  readonly answer?: { readonly activation: Activation };
  /** How texts or a picture become the inputs of the model. */
  readonly preparation?: Preparation;
  readonly classes?: readonly string[];
  /** Undefined if a row is too large to be shown. */
  readonly example?: { readonly features: unknown };
}

/** A golden row: features with the outputs that the model gives for them. */
export interface GoldenRow {
  readonly features: unknown;
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** A response of `/predict`. */
export interface Prediction {
  readonly prediction: unknown;
  readonly label?: string;
  /** The highest scores, if the model's answers are labels: `prediction` is one of them, or an array of those that hold. */
  readonly scores?: readonly { readonly label: string; readonly score: unknown }[];
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** The task of a model of texts; undefined if it has none, or takes no texts. */
export const taskOf = ({ preparation }: Pick<ModelInfo, 'preparation'>): TextTask | undefined =>
  preparation?.kind === 'text' ? preparation.task?.value : undefined;

/** The model that the page shows: by its name and version, or the one behind `/predict`. */
export interface Target {
  readonly name?: string;
  readonly version?: string;
}

/** The path of a route of a model. @param suffix such as `predict`; empty for the model's status. */
export function pathOf({ name, version }: Target, suffix: string): string {
  if (name === undefined) return suffix;
  const at = version === undefined ? '' : `/versions/${encodeURIComponent(version)}`;
  return `models/${encodeURIComponent(name)}${at}${suffix === '' ? '' : `/${suffix}`}`;
}

/** The number of elements of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1);
/** Whether all dimensions of a shape have a fixed length. */
export const isFixed = (shape: readonly number[]): boolean => !shape.includes(-1);
/** A shape for people; a dimension of any length is `any`. */
export const shapeText = (shape: readonly number[]): string =>
  `[${shape.map((dim) => (dim === -1 ? 'any' : dim)).join(', ')}]`;

/** The shape of a row: without the batch dimension; of the entire tensor if its first dimension is not the batch. */
export const rowShapeOf = ({ shape }: Spec): readonly number[] =>
  shape[0] === -1 || shape[0] === 1 ? shape.slice(1) : shape;

/** The lengths of nested arrays, by their first elements. */
export function nestedShape(value: unknown): number[] {
  const shape: number[] = [];
  for (let inner = value; Array.isArray(inner) && shape.length < 64; inner = inner[0]) shape.push(inner.length);
  return shape;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value of each input in the `features` of a body, which may be by feature, by input, or the values alone. */
export function inputsOf({ inputs, features }: ModelInfo, given: unknown): unknown[] {
  const object = isObject(given) ? given : undefined;
  return inputs.map(({ name }) => {
    if (object === undefined) return given;
    const byFeature = inputs.length === 1 && features !== undefined && !Object.hasOwn(object, name);
    return byFeature ? features.map((feature) => object[feature]) : object[name];
  });
}
