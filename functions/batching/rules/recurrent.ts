import { isSameAxis } from '../values/merge.ts';
import {
  carriesRows,
  mixed,
  moved,
  newSize,
  type Operation,
  ofConstants,
  type Result,
  type Rules,
  unknown,
} from '../values/operation.ts';
import { number, type Size } from '../values/size.ts';
import type { Tracked } from '../values/tracked-value.ts';

/**
 * LSTM, GRU and RNN. `layout` gives the axes of the steps and of the batch (https://onnx.ai/onnx/operators/onnx__LSTM.html):
 * 0: X [time, batch, input], states [directions, batch, hidden], Y [time, directions, batch, hidden];
 * 1: X [batch, time, input], states [batch, directions, hidden], Y [batch, time, directions, hidden].
 */
function recurrent(operation: Operation): Result {
  const batchFirst = operation.attributes.int('layout') === 1;
  const [x, weights, recurrence, bias, lengths, hidden, cell, peepholes] = operation.inputs as (Tracked | undefined)[];
  if ([weights, recurrence, bias, peepholes].some(carriesRows)) return mixed(operation, 'its weights depend on rows');
  const states = [hidden, cell].filter((state) => state !== undefined);
  if (!carriesRows(x)) {
    return [lengths, ...states].some(carriesRows)
      ? unknown(operation, 'its states or lengths have rows, and its sequences do not')
      : ofConstants(operation);
  }
  if (x.rows.axis !== (batchFirst ? 0 : 1)) return mixed(operation, 'it treats the rows as steps of one sequence');
  const stateAxis = batchFirst ? 0 : 1;
  const fits = (input: Tracked, axis: number): boolean =>
    carriesRows(input) && isSameAxis(input.rows, { ...x.rows, axis });
  if (states.some((state) => !fits(state, stateAxis)) || (lengths !== undefined && !fits(lengths, 0))) {
    return mixed(operation, 'states or lengths of a fixed number meet the rows');
  }
  const time = x.shape?.[batchFirst ? 1 : 0] ?? newSize(operation, 'time');
  const directions = number(operation.attributes.text('direction') === 'bidirectional' ? 2 : 1);
  const size = operation.attributes.int('hidden_size');
  const units: Size = size === undefined ? newSize(operation, 'hidden') : number(size);
  const any = number(1);
  const all = batchFirst
    ? moved(x.rows, 0, [any, time, directions, units])
    : moved(x.rows, 2, [time, directions, any, units]);
  const last = batchFirst ? moved(x.rows, 0, [any, directions, units]) : moved(x.rows, 1, [directions, any, units]);
  return [all, last, last];
}

/** Rules of the recurrent layers. */
export const RECURRENT: Rules = {
  GRU: { apply: recurrent },
  LSTM: { apply: recurrent },
  RNN: { apply: recurrent },
};
