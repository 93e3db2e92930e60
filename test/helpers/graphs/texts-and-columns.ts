import { type Case, graphsOf } from './cases.ts';
import { type Feed, floats, free, ids, texts } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, SKLEARN } from './net.ts';

/** Text operators and those of ai.onnx.ml on inputs [N], where the only axis is that of rows. */
const LINES = ['the cat', 'a cat sat on the mat', 'mat', 'THE mat, the cat', 'nothing'];

const text: Feed = free(texts([], LINES), 'N');
const TFIDF = {
  mode: 'TF',
  min_gram_length: 1n,
  max_gram_length: 1n,
  max_skip_count: 0n,
  ngram_counts: [0n],
  ngram_indexes: [0n, 1n, 2n, 3n],
  pool_int64s: [3n, 5n, 7n, 9n],
};

const tokenize = (net: Net, x: string) =>
  net.op('ms:Tokenizer', [x], { mark: 0n, mincharnum: 1n, pad_value: '#', separators: ['[^a-zA-Z]+'] });

const STRINGS = { opset: 20, irVersion: 9 };

const CASES: readonly Case[] = [
  {
    name: 'tokens of each text, padded to the longest of the batch',
    operator: 'Tokenizer',
    inputs: { text },
    write: (net, x) => net.output(tokenize(net, x!), 'string', ['N', 'tokens'], 'tokens'),
  },
  {
    name: 'last token of each text, padding where it is not the longest of the batch',
    operator: 'Gather',
    inputs: { text },
    write(net, x) {
      const last = net.op('Gather', [tokenize(net, x!), net.int(-1)], { axis: 1n });
      net.output(last, 'string', ['N'], 'token');
    },
  },
  {
    name: 'words of each text, StringSplit padded to the longest of the batch',
    operator: 'StringSplit',
    inputs: { text },
    write(net, x) {
      const [parts, counts] = net.ops('StringSplit', [x!], 2, { delimiter: ' ' });
      net.output(parts!, 'string', ['N', 'words'], 'words');
      net.output(counts!, 'int64', ['N'], 'counts');
    },
    style: STRINGS,
  },
  {
    name: 'texts that match an expression, RegexFullMatch',
    inputs: { text },
    write: (net, x) => net.output(net.op('RegexFullMatch', [x!], { pattern: '.*cat.*' }), 'bool', ['N'], 'match'),
    style: STRINGS,
  },
  {
    name: 'two columns of text joined, StringConcat',
    inputs: { first: text, last: text },
    write: (net, x, y) => net.output(net.op('StringConcat', [x!, y!]), 'string', ['N'], 'name'),
    style: STRINGS,
  },
  {
    name: 'ids of a category to text, CategoryMapper',
    inputs: { id: free(ids([1], 4), 'N', 1) },
    write(net, id) {
      const attributes = { cats_int64s: [0n, 1n, 2n], cats_strings: ['no', 'yes', 'perhaps'], default_string: '?' };
      net.output(net.op('ml:CategoryMapper', [id!], attributes), 'string', ['N', 1], 'label');
    },
  },
  {
    name: 'TfIdfVectorizer of an input [N], which is one text to it',
    operator: 'TfIdfVectorizer',
    inputs: { token: free(ids([], 11), 'N') },
    write: (net, x) => net.output(net.op('TfIdfVectorizer', [x!], TFIDF), 'float32', [4], 'counts'),
  },
  {
    name: 'ArrayFeatureExtractor of a table [N,3]',
    inputs: { X: free(floats([3]), 'N', 3) },
    write(net, x) {
      const picked = net.op('ml:ArrayFeatureExtractor', [x!, net.ints(2, 0)]);
      net.output(picked, 'float32', ['N', 2], 'variable');
    },
  },
  {
    name: 'ArrayFeatureExtractor of a column [N], which is one row to it',
    operator: 'ArrayFeatureExtractor',
    inputs: { X: free(floats([]), 'N') },
    write(net, x) {
      const first = net.op('ml:ArrayFeatureExtractor', [x!, net.ints(0)]);
      const flat = net.op('Reshape', [first, net.ints(-1)]);
      net.output(net.op('Sub', [x!, flat]), 'float32', ['N'], 'variable');
    },
  },
  {
    name: 'OneHotEncoder of a column [N]',
    inputs: { id: free(ids([], 4), 'N') },
    write(net, id) {
      const hot = net.op('ml:OneHotEncoder', [id!], { cats_int64s: [0n, 1n, 2n], zeros: 1n });
      net.output(hot, 'float32', ['N', 3], 'variable');
    },
  },
  {
    name: 'LabelEncoder of a column [N]',
    inputs: { id: free(ids([], 4), 'N') },
    write(net, id) {
      const attributes = { keys_int64s: [0n, 1n], values_strings: ['no', 'yes'], default_string: '?' };
      net.output(net.op('ml:LabelEncoder', [id!], attributes), 'string', ['N'], 'variable');
    },
  },
  {
    name: 'Normalizer of a column [N], which is one row to it',
    operator: 'Normalizer',
    inputs: { X: free(floats([], { special: false }), 'N') },
    write: (net, x) => net.output(net.op('ml:Normalizer', [x!], { norm: 'L1' }), 'float32', ['N'], 'variable'),
  },
  {
    name: 'Scaler of a column [N,1] with one offset',
    inputs: { X: free(floats([1]), 'N', 1) },
    write(net, x) {
      net.output(net.op('ml:Scaler', [x!], { offset: [0.5], scale: [2] }), 'float32', ['N', 1], 'variable');
    },
  },
];

export const TEXTS_AND_COLUMNS: readonly ExportedGraph[] = graphsOf('texts and columns', SKLEARN, CASES);
