import { type Case, graphsOf } from './cases.ts';
import { type Feed, floats, free, ids, mask } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, TORCH } from './net.ts';
import { attention, gelu, layerNorm, layerNormParts, linear, sizeOf, sizes } from './torch-parts.ts';

/** Encoders of transformers and sentence-transformers as torch and optimum export them: [batch, sequence], both free. */
const WIDTH = 8;
const HEADS = 2;
const VOCABULARY = 30;
const LENGTH = 6;
const FLOAT = 1n;
const BOOL = 9n;
const INT64 = 7n;

const sequence = (feed: Feed): Feed => free(feed, 'batch_size', 'sequence_length');
const INPUT_IDS = sequence(ids([LENGTH], VOCABULARY, { from: 2 }));
const ATTENTION_MASK = sequence(mask(LENGTH));

function embed(net: Net, at: string, count: number): string {
  return net.op('Gather', [net.weight([count, WIDTH], 1), at]);
}

function layer(net: Net, x: string, bias?: string): string {
  const one = layerNorm(net, net.op('Add', [attention(net, x, WIDTH, HEADS, bias), x]), WIDTH);
  const inner = linear(net, gelu(net, linear(net, one, WIDTH, 16)), 16, WIDTH);
  return layerNormParts(net, net.op('Add', [inner, one]), WIDTH);
}

/** (1 - mask[:, None, None, :]) * lowest, as BERT writes it. */
function extendedMask(net: Net, attentionMask: string): string {
  const wide = net.op('Unsqueeze', [net.op('Unsqueeze', [attentionMask, net.ints(1)]), net.ints(2)]);
  const inverted = net.op('Sub', [net.float(1), net.op('Cast', [wide], { to: FLOAT })]);
  return net.op('Mul', [inverted, net.float(-3.4028234663852886e38)]);
}

/** The first of the model's position ids: a buffer [1,512] cut to the length of the sequence. */
function positions(net: Net, inputIds: string): string {
  const buffer = net.constant(
    'int64',
    [1, 12],
    Array.from({ length: 12 }, (_, i) => i),
  );
  const length = net.op('Unsqueeze', [sizeOf(net, inputIds, 1), net.ints(0)]);
  return net.op('Slice', [buffer, net.ints(0), length, net.ints(1), net.ints(1)]);
}

function bert(net: Net, inputIds: string, attentionMask: string, tokenTypes: string): string {
  const words = embed(net, inputIds, VOCABULARY);
  const sum = net.op('Add', [words, embed(net, tokenTypes, 2)]);
  const embedded = net.op('Add', [sum, embed(net, positions(net, inputIds), 12)]);
  const bias = extendedMask(net, attentionMask);
  return layer(net, layer(net, layerNorm(net, embedded, WIDTH, 1e-12), bias), bias);
}

const BERT_INPUTS = {
  input_ids: INPUT_IDS,
  attention_mask: ATTENTION_MASK,
  token_type_ids: sequence(ids([LENGTH], 2)),
};

const hiddenShape = ['batch_size', 'sequence_length', WIDTH];

/** masked_fill(mask == 0, -inf) with the mask expanded to the scores, as DistilBERT writes it. */
function distilBert(net: Net, inputIds: string, attentionMask: string): string {
  const x = net.op('Add', [embed(net, inputIds, VOCABULARY), embed(net, positions(net, inputIds), 12)]);
  const split = (perm: bigint[]) => {
    const shape = sizes(net, sizeOf(net, x, 0), -1, HEADS, WIDTH / HEADS);
    return net.op('Transpose', [net.op('Reshape', [linear(net, x, WIDTH, WIDTH), shape])], { perm });
  };
  const query = net.op('Div', [split([0n, 2n, 1n, 3n]), net.float(2)]);
  const scores = net.op('MatMul', [query, split([0n, 2n, 3n, 1n])]);
  const dropped = net.op('Equal', [attentionMask, net.int(0)]);
  const shape = sizes(net, sizeOf(net, inputIds, 0), 1, 1, sizeOf(net, x, 1));
  const wide = net.op('Expand', [net.op('Reshape', [dropped, shape]), net.op('Shape', [scores])]);
  const flags = net.op('Cast', [wide], { to: BOOL });
  const kept = net.op('Where', [flags, net.float(-3.4028234663852886e38), scores]);
  const mixed = net.op('MatMul', [net.op('Softmax', [kept], { axis: -1n }), split([0n, 2n, 1n, 3n])]);
  const turned = net.op('Transpose', [mixed], { perm: [0n, 2n, 1n, 3n] });
  return net.op('Reshape', [turned, sizes(net, sizeOf(net, x, 0), -1, WIDTH)]);
}

/** Position ids by a running count of the tokens that are no padding, as XLM-R and RoBERTa write them. */
function robertaPositions(net: Net, inputIds: string): string {
  const kept = net.op('Cast', [net.op('Not', [net.op('Equal', [inputIds, net.int(1)])])], { to: 6n });
  const counted = net.op('Cast', [net.op('CumSum', [kept, net.int(1)])], { to: INT64 });
  const product = net.op('Mul', [counted, net.op('Cast', [kept], { to: INT64 })]);
  return net.op('Add', [product, net.int(1)]);
}

/** Mean of the hidden states of the tokens that count, divided by its own length. */
function meanPooling(net: Net, hidden: string, attentionMask: string): string {
  const wide = net.op('Unsqueeze', [attentionMask, net.ints(-1)]);
  const spread = net.op('Cast', [net.op('Expand', [wide, net.op('Shape', [hidden])])], { to: FLOAT });
  const sum = net.op('ReduceSum', [net.op('Mul', [hidden, spread]), net.ints(1)], { keepdims: 0n });
  const count = net.op('Clip', [net.op('ReduceSum', [spread, net.ints(1)], { keepdims: 0n }), net.float(1e-9)]);
  return net.op('Div', [sum, count]);
}

function unitLength(net: Net, x: string): string {
  const norm = net.op('Clip', [net.op('ReduceL2', [x], { axes: [-1n], keepdims: 1n }), net.float(1e-12)]);
  return net.op('Div', [x, net.op('Expand', [norm, net.op('Shape', [x])])]);
}

/** T5's table of biases by distance: none of it depends on what is in the rows. */
function relativeBias(net: Net, x: string): string {
  const length = sizeOf(net, x, 1);
  const range = net.op('Range', [net.int(0), length, net.int(1)]);
  const across = net.op('Unsqueeze', [range, net.ints(0)]);
  const distance = net.op('Sub', [across, net.op('Unsqueeze', [range, net.ints(1)])]);
  const positive = net.op('Mul', [
    net.op('Cast', [net.op('Greater', [distance, net.int(0)])], { to: INT64 }),
    net.int(4),
  ]);
  const capped = net.op('Min', [net.op('Abs', [distance]), net.int(3)]);
  const bucket = net.op('Add', [positive, capped]);
  const bias = net.op('Gather', [net.weight([8, HEADS]), bucket]);
  return net.op('Unsqueeze', [net.op('Transpose', [bias], { perm: [2n, 0n, 1n] }), net.ints(0)]);
}

/** RMS norm of T5 and LLaMA. */
function rmsNorm(net: Net, x: string): string {
  const square = net.op('ReduceMean', [net.op('Pow', [x, net.float(2)])], { axes: [-1n] });
  const root = net.op('Sqrt', [net.op('Add', [square, net.float(1e-6)])]);
  return net.op('Mul', [net.weight([WIDTH], 1), net.op('Mul', [x, net.op('Div', [net.float(1), root])])]);
}

/** A projection tower of CLIP, to a vector of unit length. */
const tower = (net: Net, x: string) => unitLength(net, linear(net, x, 5, 4));

const CASES: readonly Case[] = [
  {
    name: 'BERT, last hidden state and pooler',
    inputs: BERT_INPUTS,
    write(net, inputIds, attentionMask, tokenTypes) {
      const hidden = bert(net, inputIds!, attentionMask!, tokenTypes!);
      const first = net.op('Gather', [hidden, net.int(0)], { axis: 1n });
      const pooled = net.op('Tanh', [
        net.op('Gemm', [first, net.weight([WIDTH, WIDTH]), net.weight([WIDTH])], { transB: 1n }),
      ]);
      net.output(hidden, 'float32', hiddenShape, 'last_hidden_state');
      net.output(pooled, 'float32', ['batch_size', WIDTH], 'pooler_output');
    },
  },
  {
    name: 'BERT for questions, Split and Squeeze of the logits',
    inputs: BERT_INPUTS,
    write(net, inputIds, attentionMask, tokenTypes) {
      const logits = linear(net, bert(net, inputIds!, attentionMask!, tokenTypes!), WIDTH, 2);
      const parts = net.ops('Split', [logits, net.ints(1, 1)], 2, { axis: -1n });
      for (const [at, name] of ['start_logits', 'end_logits'].entries()) {
        const flat = net.op('Squeeze', [parts[at]!, net.ints(-1)]);
        net.output(flat, 'float32', ['batch_size', 'sequence_length'], name);
      }
    },
  },
  {
    name: 'BERT for tokens, active logits picked by the mask',
    operator: 'NonZero',
    inputs: { input_ids: INPUT_IDS, attention_mask: ATTENTION_MASK },
    write(net, inputIds, attentionMask) {
      const hidden = layer(net, embed(net, inputIds!, VOCABULARY), extendedMask(net, attentionMask!));
      const flat = net.op('Reshape', [linear(net, hidden, WIDTH, 3), net.ints(-1, 3)]);
      const flags = net.op('Reshape', [net.op('Cast', [attentionMask!], { to: BOOL }), net.ints(-1)]);
      const at = net.op('Transpose', [net.op('NonZero', [flags])], { perm: [1n, 0n] });
      net.output(net.op('GatherND', [flat, at]), 'float32', ['active', 3], 'logits');
    },
  },
  {
    name: 'DistilBERT for sentiments',
    inputs: { input_ids: INPUT_IDS, attention_mask: ATTENTION_MASK },
    write(net, inputIds, attentionMask) {
      const first = net.op('Gather', [distilBert(net, inputIds!, attentionMask!), net.int(0)], { axis: 1n });
      const hidden = net.op('Relu', [linear(net, first, WIDTH, WIDTH)]);
      net.output(linear(net, hidden, WIDTH, 2), 'float32', ['batch_size', 2], 'logits');
    },
  },
  {
    name: 'XLM-R, position ids from the running count of tokens',
    inputs: { input_ids: sequence(ids([LENGTH], VOCABULARY, { from: 1 })), attention_mask: ATTENTION_MASK },
    write(net, inputIds, attentionMask) {
      const at = robertaPositions(net, inputIds!);
      const x = net.op('Add', [embed(net, inputIds!, VOCABULARY), embed(net, at, 12)]);
      net.output(layer(net, x, extendedMask(net, attentionMask!)), 'float32', hiddenShape, 'last_hidden_state');
    },
  },
  {
    name: 'XLM-R, position ids counted over the batch',
    operator: 'CumSum',
    inputs: { input_ids: sequence(ids([LENGTH], VOCABULARY, { from: 1 })) },
    write(net, inputIds) {
      const kept = net.op('Cast', [net.op('Not', [net.op('Equal', [inputIds!, net.int(1)])])], { to: INT64 });
      const at = net.op('CumSum', [kept, net.int(0)]);
      const x = net.op('Add', [embed(net, inputIds!, VOCABULARY), embed(net, at, 24)]);
      net.output(x, 'float32', hiddenShape, 'last_hidden_state');
    },
  },
  {
    name: 'sentence-transformers, mean pooling and unit length',
    inputs: { input_ids: INPUT_IDS, attention_mask: ATTENTION_MASK },
    write(net, inputIds, attentionMask) {
      const hidden = layer(net, embed(net, inputIds!, VOCABULARY), extendedMask(net, attentionMask!));
      const pooled = meanPooling(net, hidden, attentionMask!);
      net.output(hidden, 'float32', hiddenShape, 'token_embeddings');
      net.output(unitLength(net, pooled), 'float32', ['batch_size', WIDTH], 'sentence_embedding');
    },
  },
  {
    name: 'sentence-transformers, mean over the tokens of the batch',
    operator: 'ReduceSum',
    inputs: { input_ids: INPUT_IDS, attention_mask: ATTENTION_MASK },
    write(net, inputIds, attentionMask) {
      const wide = net.op('Cast', [net.op('Unsqueeze', [attentionMask!, net.ints(-1)])], { to: FLOAT });
      const sum = net.op('ReduceSum', [net.op('Mul', [embed(net, inputIds!, VOCABULARY), wide]), net.ints(1)], {
        keepdims: 0n,
      });
      const mean = net.op('Div', [sum, net.op('ReduceSum', [wide], { keepdims: 0n })]);
      net.output(mean, 'float32', ['batch_size', WIDTH], 'sentence_embedding');
    },
  },
  {
    name: 'T5 encoder, relative positions and RMS norm',
    inputs: { input_ids: INPUT_IDS, attention_mask: ATTENTION_MASK },
    write(net, inputIds, attentionMask) {
      const x = embed(net, inputIds!, VOCABULARY);
      const bias = net.op('Add', [relativeBias(net, inputIds!), extendedMask(net, attentionMask!)]);
      const hidden = net.op('Add', [attention(net, rmsNorm(net, x), WIDTH, HEADS, bias), x]);
      net.output(rmsNorm(net, hidden), 'float32', hiddenShape, 'last_hidden_state');
    },
  },
  {
    name: 'CLIP, embeddings of images and texts',
    inputs: { image: floats([5]), text: floats([5]) },
    write(net, image, text) {
      net.output(tower(net, image!), 'float32', ['batch', 4], 'image_embeds');
      net.output(tower(net, text!), 'float32', ['batch', 4], 'text_embeds');
    },
  },
  {
    name: 'CLIP, logits_per_image: each image with each text',
    operator: 'MatMul',
    inputs: { image: floats([5]), text: floats([5]) },
    write(net, image, text) {
      const turned = net.op('Transpose', [tower(net, text!)], { perm: [1n, 0n] });
      const logits = net.op('Mul', [net.op('MatMul', [tower(net, image!), turned]), net.float(10)]);
      net.output(logits, 'float32', ['batch', 'batch'], 'logits_per_image');
    },
  },
  {
    name: 'cross-encoder, one score a pair',
    inputs: BERT_INPUTS,
    write(net, inputIds, attentionMask, tokenTypes) {
      const hidden = bert(net, inputIds!, attentionMask!, tokenTypes!);
      const first = net.op('Gather', [hidden, net.int(0)], { axis: 1n });
      net.output(net.op('Squeeze', [linear(net, first, WIDTH, 1), net.ints(1)]), 'float32', ['batch_size'], 'scores');
    },
  },
  {
    name: 'reranker, scores as shares of the batch',
    operator: 'Softmax',
    inputs: BERT_INPUTS,
    write(net, inputIds, attentionMask, tokenTypes) {
      const hidden = bert(net, inputIds!, attentionMask!, tokenTypes!);
      const first = net.op('Gather', [hidden, net.int(0)], { axis: 1n });
      const scores = net.op('Squeeze', [linear(net, first, WIDTH, 1), net.ints(1)]);
      net.output(net.op('Softmax', [scores], { axis: -1n }), 'float32', ['batch_size'], 'scores');
    },
  },
];

export const TRANSFORMERS: readonly ExportedGraph[] = graphsOf('transformers', TORCH, CASES);
