import { initializer } from '../../../functions/onnx/proto/build.ts';
import { type Case, graphsOf } from './cases.ts';
import { type Feed, floats, free, ids, mask } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, TORCH } from './net.ts';
import { layerNorm, linear, sizeOf, sizes } from './torch-parts.ts';

/** Decoders as optimum exports them: masks of shapes that the caller chooses, and a cache of keys and values. */
const WIDTH = 8;
const HEADS = 2;
const SIZE = 4;
const LENGTH = 3;
const PAST = 2;
const LOWEST = -3.4028234663852886e38;

const INPUT_IDS: Feed = free(ids([LENGTH], 20), 'batch_size', 'sequence_length');
const CACHE: Feed = free(
  floats([HEADS, PAST, SIZE], { special: false }),
  'batch_size',
  HEADS,
  'past_sequence_length',
  SIZE,
);

const hiddenShape = ['batch_size', 'sequence_length', 20];

/** [rows, length, width] -> [rows, heads, length, size]. */
function split(net: Net, x: string): string {
  const shape = sizes(net, sizeOf(net, x, 0), sizeOf(net, x, 1), HEADS, SIZE);
  return net.op('Transpose', [net.op('Reshape', [linear(net, x, WIDTH, WIDTH), shape])], { perm: [0n, 2n, 1n, 3n] });
}

function merge(net: Net, x: string): string {
  const turned = net.op('Transpose', [x], { perm: [0n, 2n, 1n, 3n] });
  return net.op('Reshape', [turned, sizes(net, sizeOf(net, turned, 0), sizeOf(net, turned, 1), WIDTH)]);
}

function attend(net: Net, query: string, key: string, value: string, bias?: string): string {
  const scores = net.op('MatMul', [query, net.op('Transpose', [key], { perm: [0n, 1n, 3n, 2n] })]);
  const biased = bias === undefined ? scores : net.op('Add', [net.op('Mul', [scores, net.float(0.5)]), bias]);
  return merge(net, net.op('MatMul', [net.op('Softmax', [biased], { axis: -1n }), value]));
}

/** expand(batch, 1, length, total): the sizes by way of ConstantOfShape, Equal and Where, in which -1 means "as it is". */
function expand(net: Net, x: string, ...shape: (string | number)[]): string {
  const wanted = sizes(net, ...shape);
  const ones = net.op('ConstantOfShape', [net.op('Shape', [wanted])], { value: initializer('', 'int64', [1], [1]) });
  const asIs = net.op('Equal', [wanted, net.op('Mul', [ones, net.int(-1)])]);
  return net.op('Expand', [x, net.op('Where', [asIs, ones, wanted])]);
}

/** Above the diagonal: the lowest float, [1, 1, length, length], by Trilu of a ConstantOfShape. */
function causal(net: Net, length: string): string {
  const full = net.op('ConstantOfShape', [sizes(net, length, length)], {
    value: initializer('', 'float32', [1], [LOWEST]),
  });
  return net.op('Unsqueeze', [net.op('Trilu', [full, net.int(1)], { upper: 1n }), net.ints(0, 1)]);
}

/** Each row's mask at the lowest float where it is 0: [rows, 1, 1, length] expanded to the scores. */
function padding(net: Net, attentionMask: string, length: string): string {
  const wide = net.op('Unsqueeze', [attentionMask, net.ints(1, 2)]);
  const spread = expand(net, wide, sizeOf(net, attentionMask, 0), 1, length, -1);
  const dropped = net.op('Sub', [net.float(1), net.op('Cast', [spread], { to: 1n })]);
  return net.op('Where', [net.op('Cast', [dropped], { to: 9n }), net.float(LOWEST), dropped]);
}

/** Position ids of tokens that count, as GPT-2 and OPT make them of the mask. */
function positions(net: Net, attentionMask: string): string {
  const counted = net.op('Sub', [net.op('CumSum', [attentionMask, net.int(-1)]), net.int(1)]);
  return net.op('Where', [net.op('Equal', [attentionMask, net.int(0)]), net.int(1), counted]);
}

function embed(net: Net, at: string, count: number): string {
  return net.op('Gather', [net.weight([count, WIDTH], 1), at]);
}

const logits = (net: Net, x: string) =>
  net.output(net.op('MatMul', [layerNorm(net, x, WIDTH), net.weight([WIDTH, 20])]), 'float32', hiddenShape, 'logits');

const CASES: readonly Case[] = [
  {
    name: 'GPT-2, causal mask by Trilu, padding by Expand and Where, positions by CumSum',
    inputs: { input_ids: INPUT_IDS, attention_mask: free(mask(LENGTH), 'batch_size', 'sequence_length') },
    write(net, inputIds, attentionMask) {
      const length = sizeOf(net, inputIds!, 1);
      const x = net.op('Add', [embed(net, inputIds!, 20), embed(net, positions(net, attentionMask!), 8)]);
      const bias = net.op('Max', [
        net.op('Add', [causal(net, length), padding(net, attentionMask!, length)]),
        net.float(LOWEST),
      ]);
      logits(net, net.op('Add', [attend(net, split(net, x), split(net, x), split(net, x), bias), x]));
    },
  },
  {
    name: 'decoder with past, keys and values of each row in and out',
    inputs: { input_ids: free(ids([1], 20), 'batch_size', 1), 'past.0.key': CACHE, 'past.0.value': CACHE },
    write(net, inputIds, pastKey, pastValue) {
      const x = embed(net, inputIds!, 20);
      const key = net.op('Concat', [pastKey!, split(net, x)], { axis: 2n });
      const value = net.op('Concat', [pastValue!, split(net, x)], { axis: 2n });
      logits(net, net.op('Add', [attend(net, split(net, x), key, value), x]));
      const present = ['batch_size', HEADS, 'past_sequence_length + 1', SIZE];
      net.output(key, 'float32', present, 'present.0.key');
      net.output(value, 'float32', present, 'present.0.value');
    },
  },
  {
    name: 'decoder with past, keys and values in one output [2, batch, heads, length, size]',
    operator: 'Concat',
    inputs: { input_ids: free(ids([1], 20), 'batch_size', 1) },
    write(net, inputIds) {
      const x = embed(net, inputIds!, 20);
      const [key, value] = [split(net, x), split(net, x)];
      logits(net, net.op('Add', [attend(net, split(net, x), key, value), x]));
      const parts = [key, value].map((one) => net.op('Unsqueeze', [one, net.ints(0)]));
      net.output(net.op('Concat', parts, { axis: 0n }), 'float32', [2, 'batch_size', HEADS, 1, SIZE], 'present');
    },
  },
  {
    name: 'seq2seq decoder, attention to the encoder of each row',
    inputs: {
      decoder_input_ids: INPUT_IDS,
      encoder_hidden_states: free(
        floats([4, WIDTH], { special: false }),
        'batch_size',
        'encoder_sequence_length',
        WIDTH,
      ),
      encoder_attention_mask: free(mask(4), 'batch_size', 'encoder_sequence_length'),
    },
    write(net, inputIds, encoded, encoderMask) {
      const x = embed(net, inputIds!, 20);
      const length = sizeOf(net, inputIds!, 1);
      const own = net.op('Add', [attend(net, split(net, x), split(net, x), split(net, x), causal(net, length)), x]);
      const bias = padding(net, encoderMask!, length);
      logits(net, net.op('Add', [attend(net, split(net, own), split(net, encoded!), split(net, encoded!), bias), own]));
    },
  },
  {
    name: 'beam search step, beams reordered by indices of the batch',
    operator: 'Gather',
    inputs: { 'past.0.key': CACHE, beam_idx: ids([], 1) },
    write(net, past, beams) {
      net.output(
        net.op('Gather', [past!, beams!], { axis: 0n }),
        'float32',
        ['batch_size', HEADS, PAST, SIZE],
        'present.0.key',
      );
    },
  },
  {
    name: 'next token of each row, ArgMax of the last logits',
    inputs: { input_ids: INPUT_IDS },
    write(net, inputIds) {
      const scores = net.op('MatMul', [embed(net, inputIds!, 20), net.weight([WIDTH, 20])]);
      const last = net.op('Gather', [scores, net.int(-1)], { axis: 1n });
      const token = net.op('ArgMax', [last], { axis: -1n, keepdims: 1n });
      net.output(
        net.op('Concat', [inputIds!, token], { axis: 1n }),
        'int64',
        ['batch_size', 'length + 1'],
        'sequences',
      );
    },
  },
];

export const DECODERS: readonly ExportedGraph[] = graphsOf('optimum', TORCH, CASES);
