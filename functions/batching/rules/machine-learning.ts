import { isSameAxis } from '../values/merge.ts';
import {
  carriesRows,
  mixed,
  moved,
  newSize,
  type Operation,
  ofConstants,
  RANK_UNKNOWN,
  type Result,
  type Rule,
  type Rules,
  sameRows,
  unknown,
} from '../values/operation.ts';
import { number, ONE, product, type Size, times } from '../values/size.ts';
import { constant, extentOf, rowAxis, type Tracked, type Value, withRows } from '../values/tracked-value.ts';
import { broadcast } from './elementwise.ts';

const ROWS_AS_FEATURES = 'it treats the rows as features';

/*
 * ai.onnx.ml: https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md. Its operators take [rows, features]. They treat a
 * vector as the features of one row, so that rows along the only axis would be features.
 */

/** A rule for operators that take [rows, features]. @param columns the columns of each output; undefined for a vector [rows] */
function perRow(columns: (operation: Operation) => readonly (Size | undefined)[]): Rule {
  return {
    apply(operation) {
      const [input, ...others] = operation.inputs as [Tracked, ...(Tracked | undefined)[]];
      if (others.some(carriesRows)) return unknown(operation, 'an input beside its first depends on rows');
      if (!carriesRows(input)) return ofConstants(operation);
      const refused = notRows(operation, input);
      if (refused !== undefined) return refused;
      const extent = extentOf(input.rows);
      return columns(operation).map((size) => withRows(input.rows, size === undefined ? [extent] : [extent, size]));
    },
  };
}

function notRows(operation: Operation, { rows, shape }: Tracked): Value | undefined {
  if (shape === undefined) return unknown(operation, RANK_UNKNOWN);
  if (shape.length === 2 && rows!.axis === 0) return undefined;
  return mixed(operation, ROWS_AS_FEATURES);
}

const newColumns = (operation: Operation): Size => newSize(operation, 'columns');
const classifier = perRow((operation) => [undefined, classesOf(operation)]);
const regressor = perRow(({ attributes }) => [number(attributes.int('n_targets') ?? attributes.int('targets') ?? 1)]);

/** The columns of the scores: one for each class. A model of one class has one or two columns, depending on its operator. */
function classesOf(operation: Operation): Size {
  const { attributes } = operation;
  const labels = ['classlabels_int64s', 'classlabels_ints'].map((name) => attributes.ints(name)?.length ?? 0);
  const count = Math.max(...labels, attributes.texts('classlabels_strings')?.length ?? 0);
  return count > 1 ? number(count) : newColumns(operation);
}

/** OneHotEncoder: a new last axis with a column for each category. */
function oneHotEncoder(operation: Operation): Result {
  const [input] = operation.inputs as [Tracked];
  if (!carriesRows(input)) return ofConstants(operation);
  const { attributes } = operation;
  const count = attributes.ints('cats_int64s')?.length ?? attributes.texts('cats_strings')?.length;
  return withRows(
    input.rows,
    input.shape && [...input.shape, count === undefined ? newColumns(operation) : number(count)],
  );
}

/**
 * ArrayFeatureExtractor: entries along the last axis of the first input, by the indices in the second, whatever its shape. A
 * vector of values gives [1, number of indices]: exporters use it to find the labels of classes.
 */
function arrayFeatureExtractor(operation: Operation): Result {
  const [values, places] = operation.inputs as [Tracked, Tracked];
  if (!carriesRows(values) && !carriesRows(places)) return ofConstants(operation);
  if (carriesRows(values) && carriesRows(places)) return mixed(operation, 'each row may take entries of the others');
  if (values.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  const last = values.shape.length - 1;
  if (carriesRows(values)) {
    if (values.rows.axis === last) return mixed(operation, 'it picks single rows by their places');
    const count = places.shape === undefined ? newColumns(operation) : product(places.shape);
    return withRows(values.rows, [...values.shape.slice(0, last), count]);
  }
  if (places.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  const { axis, outer, inner } = places.rows!;
  const rows = rowAxis(
    Math.max(last, 1),
    times(product(places.shape.slice(0, axis)), outer),
    times(inner, product(places.shape.slice(axis + 1))),
  );
  const leading = last === 0 ? [ONE] : values.shape.slice(0, last);
  return withRows(rows, [...leading, extentOf(rows)]);
}

/** FeatureVectorizer: concatenates the features of each row. */
function featureVectorizer(operation: Operation): Result {
  const inputs = operation.inputs.filter((input) => input !== undefined);
  const [first] = inputs;
  if (!inputs.some(carriesRows)) return ofConstants(operation);
  if (!inputs.every((input) => carriesRows(input) && input.rows.axis === 0 && isSameAxis(input.rows, first!.rows!))) {
    return mixed(operation, 'an input of a fixed size meets the rows');
  }
  if (inputs.some(({ shape }) => shape === undefined)) return unknown(operation, RANK_UNKNOWN);
  if (inputs.some(({ shape }) => shape!.length !== 2)) return mixed(operation, ROWS_AS_FEATURES);
  return withRows(first!.rows!, [extentOf(first!.rows!), newColumns(operation)]);
}

/** Scaler, Imputer and Normalizer: their parameters are attributes, one or one for each feature; a norm is that of a row. */
function scaling(operation: Operation): Result {
  const [input] = operation.inputs as [Tracked];
  if (!carriesRows(input)) return ofConstants(operation, input.shape);
  return notRows(operation, input) ?? sameRows(input);
}

/** TfIdfVectorizer: counts of n-grams in each row. The text that pads a row must not be one of the terms that are counted. */
function tfIdfVectorizer(operation: Operation): Result {
  const [input] = operation.inputs as [Tracked];
  if (!carriesRows(input)) return ofConstants(operation);
  const refused = notRows(operation, input);
  if (refused !== undefined) return refused;
  const { padding } = input;
  const terms = padding === undefined ? [] : (operation.attributes.texts('pool_strings') ?? []);
  if (padding !== undefined && (terms.length === 0 || terms.includes(padding))) {
    return mixed(operation, 'it counts the text that pads rows to the longest of the run');
  }
  return withRows(input.rows, [extentOf(input.rows), newColumns(operation)]);
}

/** Tokenizer: a new last axis with the words of each text, padded to the text of the run with the most. */
function tokenizer(operation: Operation): Result {
  const [input] = operation.inputs as [Tracked];
  if (!carriesRows(input)) return ofConstants(operation);
  const value = withRows(input.rows, input.shape && [...input.shape, newColumns(operation)]);
  return { ...value, padding: operation.attributes.text('pad_value') ?? '' };
}

/** StringNormalizer: changes the case of each text; with stop words, it removes texts that are one of them. */
function stringNormalizer(operation: Operation): Result {
  const [input] = operation.inputs as [Tracked];
  if (!carriesRows(input)) return ofConstants(operation);
  if ((operation.attributes.texts('stopwords') ?? []).length > 0)
    return mixed(operation, 'it removes texts that are stop words');
  if (input.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  // It takes [C] and [1, C].
  return input.rows.axis === input.shape.length - 1
    ? sameRows(input)
    : mixed(operation, 'it takes no more than one row of texts');
}

/** StringSplit: a new last axis with the parts of each text, as long as the text of the run with the most parts. */
function stringSplit(operation: Operation): Result {
  const [input] = operation.inputs as [Tracked];
  if (!carriesRows(input)) return ofConstants(operation);
  return mixed(operation, 'the size of its last axis depends on the longest text of the run');
}

/** CDist: the distance of each row of the first matrix to each row of the second. */
function distances(operation: Operation): Result {
  const [a, b] = operation.inputs as [Tracked, Tracked];
  if (a.shape === undefined || b.shape === undefined) {
    return carriesRows(a) || carriesRows(b) ? unknown(operation, RANK_UNKNOWN) : ofConstants(operation);
  }
  if (a.rows?.axis === 1 || b.rows?.axis === 1) return mixed(operation, 'it sums over the rows');
  const column = a.rows === undefined ? constant([a.shape[0]!, ONE]) : moved(a.rows, 0, [a.shape[0]!, ONE]);
  const row = b.rows === undefined ? constant([ONE, b.shape[0]!]) : moved(b.rows, 1, [ONE, b.shape[0]!]);
  return broadcast(operation, [column, row]);
}

/** Rules of ai.onnx.ml, and of the operators on texts with which scikit-learn's models are exported. */
export const MACHINE_LEARNING: Rules = {
  StringNormalizer: { apply: stringNormalizer },
  StringSplit: { apply: stringSplit },
  TfIdfVectorizer: { padded: true, apply: tfIdfVectorizer },
  'ai.onnx.ml.ArrayFeatureExtractor': { apply: arrayFeatureExtractor },
  'ai.onnx.ml.FeatureVectorizer': { apply: featureVectorizer },
  'ai.onnx.ml.Imputer': { apply: scaling },
  'ai.onnx.ml.LinearClassifier': classifier,
  'ai.onnx.ml.LinearRegressor': regressor,
  'ai.onnx.ml.Normalizer': { apply: scaling },
  'ai.onnx.ml.OneHotEncoder': { apply: oneHotEncoder },
  // The scores are one for each class, or for each pair of classes.
  'ai.onnx.ml.SVMClassifier': perRow((operation) => [undefined, newColumns(operation)]),
  'ai.onnx.ml.SVMRegressor': perRow(() => [ONE]),
  'ai.onnx.ml.Scaler': { apply: scaling },
  'ai.onnx.ml.TreeEnsemble': regressor,
  'ai.onnx.ml.TreeEnsembleClassifier': classifier,
  'ai.onnx.ml.TreeEnsembleRegressor': regressor,
  'com.microsoft.CDist': { apply: distances },
  'com.microsoft.Tokenizer': { apply: tokenizer },
};
