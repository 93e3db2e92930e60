import { type Case, graphsOf } from './cases.ts';
import { type Feed, floats, free, ids, mask, texts } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, OPTIMIZED } from './net.ts';

/** The operators that onnxruntime's optimizers fuse, of the domain com.microsoft. */
const WIDTH = 8;
const LENGTH = 5;
const HEADS = 2n;

const sequence = (feed: Feed): Feed => free(feed, 'batch_size', 'sequence_length');
const INPUT_IDS = sequence(ids([LENGTH], 20, { dtype: 'int32' }));
const SEGMENTS = sequence(ids([LENGTH], 2, { dtype: 'int32' }));
const MASK = sequence(mask(LENGTH, 'int32'));
const HIDDEN = free(floats([LENGTH, WIDTH], { special: false }), 'batch_size', 'sequence_length', WIDTH);

const hiddenShape = ['batch_size', 'sequence_length', WIDTH];
const out = (net: Net, x: string, shape: readonly (number | string)[] = hiddenShape, name = 'last_hidden_state') =>
  net.output(x, 'float32', shape, name);

const norm = (net: Net) => [net.weight([WIDTH], 1), net.weight([WIDTH])];

/** BERT's embeddings and their LayerNorm; the second output is the length of each row's mask. */
function embed(net: Net, inputIds: string, segments: string, maskOf: string): [hidden: string, lengths: string] {
  const tables = [20, 8, 2].map((count) => net.weight([count, WIDTH], 1));
  const inputs = [inputIds, segments, ...tables, ...norm(net), maskOf];
  const [hidden, lengths] = net.ops('ms:EmbedLayerNormalization', inputs, 2, { epsilon: 1e-12 });
  return [hidden!, lengths!];
}

function attention(net: Net, x: string, maskIndex: string): string {
  const weights = [net.weight([WIDTH, 3 * WIDTH]), net.weight([3 * WIDTH])];
  return net.op('ms:Attention', [x, ...weights, maskIndex], { num_heads: HEADS });
}

function skipNorm(net: Net, x: string, skip: string): string {
  return net.op('ms:SkipLayerNormalization', [x, skip, ...norm(net), net.weight([WIDTH])], { epsilon: 1e-12 });
}

function layer(net: Net, x: string, maskIndex: string, activation: 'BiasGelu' | 'FastGelu'): string {
  const seen = net.op('MatMul', [attention(net, x, maskIndex), net.weight([WIDTH, WIDTH])]);
  const one = skipNorm(net, seen, x);
  const inner = net.op(`ms:${activation}`, [net.op('MatMul', [one, net.weight([WIDTH, 16])]), net.weight([16])]);
  return skipNorm(net, net.op('MatMul', [inner, net.weight([16, WIDTH])]), one);
}

const BERT = { input_ids: INPUT_IDS, token_type_ids: SEGMENTS, attention_mask: MASK };

const CASES: readonly Case[] = [
  {
    name: 'BERT, EmbedLayerNormalization, Attention, SkipLayerNormalization, BiasGelu',
    inputs: BERT,
    write(net, inputIds, segments, attentionMask) {
      const [hidden, lengths] = embed(net, inputIds!, segments!, attentionMask!);
      out(net, layer(net, hidden, lengths, 'BiasGelu'));
    },
  },
  {
    name: 'BERT, raw mask [batch, sequence] and FastGelu',
    inputs: BERT,
    write(net, inputIds, segments, attentionMask) {
      const [hidden] = embed(net, inputIds!, segments!, '');
      out(net, layer(net, hidden, attentionMask!, 'FastGelu'));
    },
  },
  {
    name: 'BERT, softmax of the pooled rows over the batch',
    operator: 'Softmax',
    inputs: BERT,
    write(net, inputIds, segments, attentionMask) {
      const [hidden, lengths] = embed(net, inputIds!, segments!, attentionMask!);
      const first = net.op('Gather', [layer(net, hidden, lengths, 'BiasGelu'), net.int(0)], { axis: 1n });
      out(net, net.op('Softmax', [first], { axis: 0n }), ['batch_size', WIDTH]);
    },
  },
  {
    name: 'Attention of the rows as one sequence',
    operator: 'Attention',
    inputs: { hidden: floats([WIDTH], { special: false }) },
    write(net, hidden) {
      const one = net.op('Unsqueeze', [hidden!, net.ints(0)]);
      out(net, net.op('Squeeze', [attention(net, one, ''), net.ints(0)]), ['batch', WIDTH]);
    },
  },
  {
    name: 'MultiHeadAttention of the rows as one sequence',
    operator: 'MultiHeadAttention',
    inputs: { hidden: floats([WIDTH], { special: false }) },
    write(net, hidden) {
      const one = net.op('Unsqueeze', [hidden!, net.ints(0)]);
      const seen = net.op('ms:MultiHeadAttention', [one, one, one], { num_heads: HEADS });
      out(net, net.op('Squeeze', [seen, net.ints(0)]), ['batch', WIDTH]);
    },
  },
  {
    name: 'MultiHeadAttention with queries of one input and keys of another',
    inputs: { query: HIDDEN, key: HIDDEN, attention_mask: MASK },
    write(net, query, key, attentionMask) {
      const projected = [query!, key!, key!].map((x) => net.op('MatMul', [x, net.weight([WIDTH, WIDTH])]));
      const inputs = [...projected, net.weight([3 * WIDTH]), attentionMask!];
      out(net, net.op('ms:MultiHeadAttention', inputs, { num_heads: HEADS }));
    },
  },
  {
    name: 'LLaMA, SimplifiedLayerNormalization, RotaryEmbedding, QuickGelu',
    inputs: { hidden: HIDDEN, position_ids: sequence(ids([LENGTH], 8)) },
    write(net, hidden, positions) {
      const x = net.op('SimplifiedLayerNormalization', [hidden!, net.weight([WIDTH], 1)], { epsilon: 1e-6, axis: -1n });
      const tables = [net.weight([8, 2], 1), net.weight([8, 2], 1)];
      const turned = net.op(
        'ms:RotaryEmbedding',
        [net.op('MatMul', [x, net.weight([WIDTH, WIDTH])]), positions!, ...tables],
        {
          num_heads: HEADS,
          rotary_embedding_dim: 4n,
        },
      );
      const inputs = [turned, hidden!, net.weight([WIDTH], 1)];
      const [normal] = net.ops('ms:SkipSimplifiedLayerNormalization', inputs, 1, { epsilon: 1e-6 });
      out(net, net.op('ms:QuickGelu', [normal!], { alpha: 1.702 }));
    },
  },
  {
    name: 'FusedMatMul of the rows of two inputs, transposed',
    inputs: { query: HIDDEN, key: HIDDEN },
    write(net, query, key) {
      const scores = net.op('ms:FusedMatMul', [query!, key!], { transB: 1n, alpha: 0.35 });
      out(net, net.op('Softmax', [scores], { axis: -1n }), ['batch_size', 'sequence_length', 'sequence_length']);
    },
  },
  {
    name: 'FusedMatMul of each row with each',
    operator: 'FusedMatMul',
    inputs: { x: floats([3]), y: floats([3]) },
    write: (net, x, y) => out(net, net.op('ms:FusedMatMul', [x!, y!], { transB: 1n }), ['batch', 'batch']),
  },
  {
    name: 'FusedMatMul of the columns of the batch',
    operator: 'FusedMatMul',
    inputs: { x: floats([3]), y: floats([3]) },
    write: (net, x, y) => out(net, net.op('ms:FusedMatMul', [x!, y!], { transA: 1n }), [3, 3]),
  },
  {
    name: 'FusedConv, FusedGemm and Gelu',
    inputs: { input: floats([2, 4, 4], { special: false }) },
    write(net, input) {
      const weights = [net.weight([3, 2, 3, 3]), net.weight([3])];
      const attributes = { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n], activation: 'Relu' };
      const pooled = net.op('GlobalAveragePool', [net.op('ms:FusedConv', [input!, ...weights], attributes)]);
      const flat = net.op('Flatten', [pooled], { axis: 1n });
      const hidden = net.op('ms:FusedGemm', [flat, net.weight([4, 3]), net.weight([4])], {
        transB: 1n,
        activation: 'LeakyRelu',
        activation_alpha: 0.1,
      });
      out(net, net.op('ms:Gelu', [hidden]), ['batch', 4], 'output');
    },
  },
  {
    name: 'GroupQueryAttention with a length for each row and a cache',
    inputs: {
      hidden: free(floats([1, WIDTH], { special: false }), 'batch_size', 1, WIDTH),
      past: free(floats([1, 3, WIDTH], { special: false }), 'batch_size', 1, 3, WIDTH),
      seqlens_k: free(ids([], 4, { from: 1, dtype: 'int32' }), 'batch_size'),
    },
    write(net, hidden, past, lengths) {
      const [query, key, value] = [0, 1, 2].map(() => net.op('MatMul', [hidden!, net.weight([WIDTH, WIDTH])]));
      const total = net.constant('int32', [], [4]);
      const inputs = [query!, key!, value!, past!, past!, lengths!, total];
      const attributes = { num_heads: 1n, kv_num_heads: 1n };
      const [seen] = net.ops('ms:GroupQueryAttention', inputs, 3, attributes);
      out(net, seen!, ['batch_size', 1, WIDTH], 'output');
    },
  },
  {
    name: 'mixture of experts, an operator of a custom domain',
    verdict: 'unknown',
    operator: 'ExpertRouter',
    inputs: { hidden: HIDDEN },
    write: (net, hidden) => out(net, net.op('my.company:ExpertRouter', [hidden!, net.weight([WIDTH, 4])], { k: 2n })),
  },
  {
    name: 'text tokenized in the graph by onnxruntime-extensions',
    verdict: 'unknown',
    operator: 'BertTokenizer',
    inputs: { text: texts([], ['a', 'b a']) },
    write(net, text) {
      const [tokens] = net.ops('ai.onnx.contrib:BertTokenizer', [text!], 3, { vocab_file: 'a\nb' });
      out(net, net.op('Gather', [net.weight([20, WIDTH]), tokens!]));
    },
  },
  {
    name: 'text generated in the graph by GreedySearch',
    verdict: 'unknown',
    operator: 'GreedySearch',
    inputs: { input_ids: INPUT_IDS },
    write(net, inputIds) {
      const inputs = [inputIds!, net.constant('int32', [1], [8]), net.constant('int32', [1], [1])];
      const found = net.op('ms:GreedySearch', inputs, { eos_token_id: 1n, pad_token_id: 1n, model_type: 0n });
      net.output(found, 'int32', ['batch_size', 'max_length'], 'sequences');
    },
  },
];

export const FUSED: readonly ExportedGraph[] = graphsOf('onnxruntime', OPTIMIZED, CASES);
