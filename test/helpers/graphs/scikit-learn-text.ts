import { feed } from './cases.ts';
import { floats, ids, texts } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { createNet, SKLEARN } from './net.ts';

/** Text, neighbours among the rows, and transformers whose statistics are those of the batch. */
const sklearn = (name: string) => createNet(name, SKLEARN);
const FLOAT = 1n;

const WORDS = ['the', 'cat', 'sat', 'mat'];
const TFIDF = {
  mode: 'TF',
  min_gram_length: 1n,
  max_gram_length: 1n,
  max_skip_count: 0n,
  ngram_counts: [0n],
  ngram_indexes: [0n, 1n, 2n, 3n],
};

/** Counts of words that the client has split: CountVectorizer(analyzer=identity). */
function countVectorizer(input: 'string' | 'int64') {
  const net = sklearn(`TfidfTransformer-${input}`);
  const x = net.input('X', input, ['N', 5]);
  const pool = input === 'string' ? { pool_strings: WORDS } : { pool_int64s: [3n, 5n, 7n, 9n] };
  const counts = net.op('TfIdfVectorizer', [x], { ...TFIDF, ...pool });
  const weighted = net.op('Mul', [counts, net.table('float32', [4], [1, 1.4, 1.7, 2.1])]);
  const normal = net.op('ml:Normalizer', [weighted], { norm: 'L2' });
  const [labels, scores] = net.ops('ml:LinearClassifier', [normal], 2, {
    classlabels_strings: ['ham', 'spam'],
    coefficients: [0.5, -0.5, 1, 0.2, -0.5, 0.5, -1, -0.2],
    intercepts: [0, 0],
    post_transform: 'SOFTMAX',
  });
  net.output(labels!, 'string', ['N'], 'output_label');
  net.output(scores!, 'float32', ['N', 2], 'output_probability');
  return net.build();
}

/** TfidfVectorizer: com.microsoft's Tokenizer gives each row as many columns as the longest row of the batch has words. */
function tfidfVectorizer() {
  const net = sklearn('TfidfVectorizer');
  const x = net.input('text', 'string', ['N']);
  const lower = net.op('StringNormalizer', [x], { case_change_action: 'LOWER', is_case_sensitive: 0n, locale: 'C' });
  const tokens = net.op('ms:Tokenizer', [lower], {
    mark: 0n,
    mincharnum: 1n,
    pad_value: '#',
    separators: ['[^a-z]+'],
  });
  const counts = net.op('TfIdfVectorizer', [tokens], { ...TFIDF, pool_strings: WORDS });
  net.output(counts, 'float32', ['N', 4], 'variable');
  return net.build();
}

/** Lower-case texts; with stop words, those that are one are taken out of the batch. */
function stringNormalizer(stopwords: readonly string[]) {
  const net = sklearn('StringNormalizer');
  const x = net.input('text', 'string', ['N']);
  const lower = net.op('StringNormalizer', [x], {
    case_change_action: 'LOWER',
    is_case_sensitive: 0n,
    locale: 'C',
    ...(stopwords.length > 0 && { stopwords }),
  });
  net.output(lower, 'string', ['N'], 'variable');
  return net.build();
}

/** Text codes: LabelEncoder on a whole table of columns. */
function ordinalEncoder() {
  const net = sklearn('OrdinalEncoder');
  const x = net.input('X', 'string', ['N', 2]);
  const columns = [0, 1].map((at) => {
    const column = net.op('ml:ArrayFeatureExtractor', [x, net.ints(at)]);
    const flat = net.op('Reshape', [column, net.ints(-1, 1)]);
    return net.op('ml:LabelEncoder', [flat], {
      keys_strings: WORDS,
      values_int64s: [0n, 1n, 2n, 3n],
      default_int64: -1n,
    });
  });
  const codes = net.op('Cast', [net.op('Concat', columns, { axis: 1n })], { to: FLOAT });
  net.output(codes, 'float32', ['N', 2], 'variable');
  return net.build();
}

/** FunctionTransformer(lambda x: x - x.mean(axis)): of a row, or of the batch. */
function centred(axis: number) {
  const net = sklearn('FunctionTransformer');
  const x = net.input('X', 'float32', ['N', 4]);
  const mean = net.op('ReduceMean', [x], { axes: [BigInt(axis)], keepdims: 1n });
  net.output(net.op('Sub', [x, mean]), 'float32', ['N', 4], 'variable');
  return net.build();
}

/** normalize(X, axis): rows, or the columns of the batch. */
function normalized(axis: number) {
  const net = sklearn('normalize');
  const x = net.input('X', 'float32', ['N', 4]);
  const norm = net.op('ReduceL2', [x], { axes: [BigInt(axis)], keepdims: 1n });
  const safe = net.op('Max', [norm, net.float(1e-6)]);
  net.output(net.op('Div', [x, safe]), 'float32', ['N', 4], 'variable');
  return net.build();
}

/** cosine_similarity(X, Y): with rows fitted before, or of the batch with itself. */
function cosineSimilarity(fitted: boolean) {
  const net = sklearn('cosine_similarity');
  const x = net.input('X', 'float32', ['N', 3]);
  const normal = net.op('ml:Normalizer', [x], { norm: 'L2' });
  const other = fitted ? net.weight([3, 5]) : net.op('Transpose', [normal], { perm: [1n, 0n] });
  net.output(net.op('MatMul', [normal, other]), 'float32', ['N', fitted ? 5 : 'N'], 'similarity');
  return net.build();
}

/** MinMaxScaler: its bounds from the fit, or those of the batch. */
function minMax(fitted: boolean) {
  const net = sklearn('MinMaxScaler');
  const x = net.input('X', 'float32', ['N', 3]);
  const axes = { axes: [0n], keepdims: 1n };
  const low = fitted ? net.table('float32', [1, 3], [-1, -2, -3]) : net.op('ReduceMin', [x], axes);
  const high = fitted ? net.table('float32', [1, 3], [1, 2, 3]) : net.op('ReduceMax', [x], axes);
  const span = net.op('Add', [net.op('Sub', [high, low]), net.float(1)]);
  net.output(net.op('Div', [net.op('Sub', [x, low]), span]), 'float32', ['N', 3], 'variable');
  return net.build();
}

/** The column of each row's largest value, or the row with each column's largest. */
function argMax(axis: number) {
  const net = sklearn('ranker');
  const x = net.input('X', 'float32', ['N', 4]);
  const scores = net.op('MatMul', [x, net.weight([4, 4])]);
  net.output(
    net.op('ArgMax', [scores], { axis: BigInt(axis), keepdims: 0n }),
    'int64',
    axis === 1 ? ['N'] : [4],
    'best',
  );
  return net.build();
}

const lines = ['the cat', 'a cat sat on the mat', 'mat', 'THE mat, the cat', 'nothing'];
const four = feed(floats([4], { special: false }));

export const SCIKIT_LEARN_TEXT: readonly ExportedGraph[] = [
  {
    name: 'scikit-learn: TfidfTransformer of words',
    model: () => countVectorizer('string'),
    verdict: 'proved',
    feeds: feed(texts([5], [...WORDS, 'dog'])),
  },
  {
    name: 'scikit-learn: TfidfTransformer of token ids',
    model: () => countVectorizer('int64'),
    verdict: 'proved',
    feeds: feed(ids([5], 11)),
  },
  {
    // Rows are independent, as the padding is in no vocabulary; the operator's own output depends on the longest row.
    name: 'scikit-learn: TfidfVectorizer with com.microsoft Tokenizer',
    model: tfidfVectorizer,
    verdict: 'proved',
    feeds: feed(texts([], lines)),
  },
  {
    name: 'scikit-learn: StringNormalizer to lower case',
    model: () => stringNormalizer([]),
    verdict: 'proved',
    feeds: feed(texts([], lines)),
  },
  {
    name: 'scikit-learn: StringNormalizer with stop words, which drops rows',
    model: () => stringNormalizer(['mat', 'the']),
    verdict: 'mixed',
    operator: 'StringNormalizer',
    feeds: feed(texts([], lines)),
  },
  {
    name: 'scikit-learn: OrdinalEncoder',
    model: ordinalEncoder,
    verdict: 'proved',
    feeds: feed(texts([2], [...WORDS, 'dog'])),
  },
  {
    name: 'scikit-learn: each row less its mean',
    model: () => centred(1),
    verdict: 'proved',
    feeds: feed(floats([4])),
  },
  {
    name: 'scikit-learn: each row less the mean of the batch',
    model: () => centred(0),
    verdict: 'mixed',
    operator: 'ReduceMean',
    feeds: four,
  },
  { name: 'scikit-learn: normalize rows', model: () => normalized(1), verdict: 'proved', feeds: feed(floats([4])) },
  {
    name: 'scikit-learn: normalize columns of the batch',
    model: () => normalized(0),
    verdict: 'mixed',
    operator: 'ReduceL2',
    feeds: four,
  },
  {
    name: 'scikit-learn: similarity to fitted rows',
    model: () => cosineSimilarity(true),
    verdict: 'proved',
    feeds: feed(floats([3])),
  },
  {
    name: 'scikit-learn: similarity between rows of the batch',
    model: () => cosineSimilarity(false),
    verdict: 'mixed',
    operator: 'MatMul',
    feeds: feed(floats([3])),
  },
  { name: 'scikit-learn: MinMaxScaler', model: () => minMax(true), verdict: 'proved', feeds: feed(floats([3])) },
  {
    name: 'scikit-learn: scaled by minimum and maximum of the batch',
    model: () => minMax(false),
    verdict: 'mixed',
    operator: 'ReduceMin',
    feeds: feed(floats([3])),
  },
  { name: 'scikit-learn: best column of a row', model: () => argMax(1), verdict: 'proved', feeds: feed(floats([4])) },
  {
    name: 'scikit-learn: best row of each column',
    model: () => argMax(0),
    verdict: 'mixed',
    operator: 'ArgMax',
    feeds: four,
  },
];
