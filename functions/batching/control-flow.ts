import { isSame, isSameAxis, merge } from './values/merge.ts';
import { carriesRows, isConstant, mixed, newSize, type Operation, type Result, unknown } from './values/operation.ts';
import { number, numberOf, type Size } from './values/size.ts';
import {
  constant,
  countedConstant,
  isLost,
  isPositional,
  type Tracked,
  type Value,
  withRows,
} from './values/tracked-value.ts';

/** The outputs of a graph that an attribute of a node holds, for some values of its inputs. */
export type RunBody = (attribute: string, inputs: readonly Value[]) => Value[];

/** A Loop's state settles after a few rounds, as each either stays or tells less of what it was. */
const MAX_ROUNDS = 12;
/** In the name of a size that a state may have another of in each round. */
const STATE = 'state';

/** If: the choice between its two graphs must not depend on the rows. */
function branch(operation: Operation, run: RunBody): Result {
  const [condition] = operation.inputs;
  if (!isConstant(condition)) return mixed(operation, 'which branch it takes depends on the data');
  if (condition?.counted) return mixed(operation, 'which branch it takes depends on how many rows the run has');
  const value = numberOf(condition?.elements?.[0]);
  if (value !== undefined) return run(value !== 0 ? 'then_branch' : 'else_branch', []);
  const [then, otherwise] = [run('then_branch', []), run('else_branch', [])];
  return then.map((one, i) => merge(operation, i, one, otherwise[i] ?? one));
}

/** Loop: its number of rounds must not depend on the rows. */
function loop(operation: Operation, run: RunBody): Result {
  const [count, condition, ...initial] = operation.inputs;
  if (!isConstant(count) || !isConstant(condition)) return mixed(operation, 'how often it runs depends on the data');
  if (count?.counted || condition?.counted)
    return mixed(operation, 'how often it runs depends on how many rows the run has');
  const states = initial.length;
  const round = (values: readonly Value[]): Value[] => run('body', [constant([]), constant([]), ...values]);
  const { outputs, state } = settled(operation, initial, (values) => {
    const [goesOn, ...rest] = round(values);
    return { before: goesOn!, state: rest.slice(0, states), rest: rest.slice(states) };
  });
  const goesOn = outputs.before;
  if (isLost(goesOn)) return goesOn;
  if (!isConstant(goesOn)) return mixed(operation, 'how often it runs depends on the data');
  if (goesOn.counted) return mixed(operation, 'how often it runs depends on how many rows the run has');
  return [
    ...state.map((value, i) => ofLastRound(operation, i, value)),
    ...outputs.rest.map((value) => stacked(operation, value, 0)),
  ];
}

/** A state whose sizes differ from round to round: those that it ends with are not those that a round in between sees. */
function ofLastRound(operation: Operation, place: number, value: Value): Value {
  if (isLost(value)) return value;
  const prefix = newSize(operation, STATE).symbols[0]!;
  const shape = value.shape?.map((size, axis) =>
    size.symbols.some((name) => name.startsWith(prefix)) ? newSize(operation, `last ${place}:${axis}`) : size,
  );
  return { ...value, shape };
}

interface Round {
  /** Of a Loop: the condition to go on. */
  readonly before: Value;
  readonly state: readonly Value[];
  readonly rest: readonly Value[];
}

/** Runs a body until what is known of its state holds before and after a round. */
function settled(
  operation: Operation,
  initial: readonly (Tracked | undefined)[],
  round: (state: readonly Value[]) => Round,
): { state: readonly Value[]; outputs: Round } {
  let state: readonly Value[] = initial.map((value) => value ?? unknown(operation, 'a state is left out'));
  for (let rounds = 0; ; rounds++) {
    const outputs = round(state);
    const next = state.map((value, i) =>
      merge(operation, `${STATE} ${i}`, value, outputs.state[i] ?? unknown(operation, 'its body gives no such state')),
    );
    if (next.every((value, i) => isSame(value, state[i]!))) return { state: next, outputs };
    state = rounds < MAX_ROUNDS ? next : next.map(() => unknown(operation, 'its state does not settle'));
  }
}

/** Scan: its body gets the slices along an axis one by one, with a state; its outputs are concatenated along an axis. */
function scan(operation: Operation, run: RunBody): Result {
  if (operation.opset < 9) return unknown(operation, 'it is that of operator set 8');
  const { attributes, inputs } = operation;
  const count = attributes.int('num_scan_inputs') ?? 0;
  const states = inputs.length - count;
  const axes = attributes.ints('scan_input_axes') ?? [];
  const places = attributes.ints('scan_output_axes') ?? [];
  if (inputs.some((input) => input !== undefined && !isPlain(input))) return unknown(operation, NOT_PLAIN);
  if (inputs.slice(states).some((input) => input?.counted)) {
    return mixed(operation, 'how often it runs depends on how many rows the run has');
  }
  const scanned = inputs.slice(states).map((input, i): Scanned => ({ input, axis: placeOf(axes[i] ?? 0, input) }));
  if (scanned.some(({ input, axis }) => input?.rows !== undefined && input.rows.axis === axis)) {
    return scanOverRows(operation, scanned, inputs.slice(0, states), run);
  }
  const slices = scanned.map((one) => sliced(operation, one));
  const { outputs, state } = settled(operation, inputs.slice(0, states), (values) => {
    const results = run('body', [...values, ...slices]);
    return { before: constant([]), state: results.slice(0, states), rest: results.slice(states) };
  });
  return [
    ...state.map((value, i) => ofLastRound(operation, i, value)),
    ...outputs.rest.map((value, i) => stacked(operation, value, places[i] ?? 0)),
  ];
}

/** Neither of numbers of rows, nor padded, nor a sequence: what is stacked or cut into slices is not followed further. */
const isPlain = (value: Tracked): boolean =>
  !isPositional(value) && value.padding === undefined && value.isSequence !== true;
const NOT_PLAIN = 'there is no rule for it on such values';

interface Scanned {
  readonly input: Tracked | undefined;
  /** NaN where the rank would be needed and is not known. */
  readonly axis: number;
}

const placeOf = (axis: number, input: Tracked | undefined): number =>
  axis < 0 ? axis + (input?.shape?.length ?? Number.NaN) : axis;

/**
 * A body that sees one row at a time, and a state that it hands on as it got it, keeps rows apart whatever it does: skl2onnx
 * writes distances to the training data so. To the body, its row is a constant like any other.
 */
function scanOverRows(
  operation: Operation,
  scanned: readonly Scanned[],
  states: readonly (Tracked | undefined)[],
  run: RunBody,
): Result {
  const [{ input: first }] = scanned as [Scanned];
  const fits = scanned.every(
    ({ input, axis }) =>
      carriesRows(input) &&
      input.rows.axis === axis &&
      isSameAxis({ ...input.rows, axis: 0 }, { ...first!.rows!, axis: 0 }),
  );
  if (!fits) return mixed(operation, 'an input of a fixed size meets the rows');
  const turned = ['scan_input_directions', 'scan_output_directions'].flatMap(
    (name) => operation.attributes.ints(name) ?? [],
  );
  if (turned.some((direction) => direction !== 0)) return mixed(operation, 'it turns the order of the rows round');
  const graph = operation.attributes.graph('body');
  if (graph === undefined || !states.every((state) => state !== undefined && isConstant(state) && !state.counted)) {
    return mixed(operation, 'it goes through the rows one by one, with a state of rows');
  }
  const source = new Map(
    graph.nodes.filter(({ operator }) => operator === 'Identity').map((node) => [node.outputs[0]!, node.inputs[0]!]),
  );
  const handsOn = states.every((_, i) => {
    let name = graph.outputs[i]?.name;
    for (let left = source.size; name !== graph.inputs[i]?.name && left > 0; left--) name = source.get(name ?? '');
    return name !== undefined && name === graph.inputs[i]?.name;
  });
  if (!handsOn)
    return mixed(operation, 'it goes through the rows one by one, and what it keeps of one reaches the next');
  const slices = scanned.map(({ input, axis }) => constant(input!.shape?.filter((_, i) => i !== axis)));
  const results = run('body', [...(states as Tracked[]), ...slices]);
  const places = operation.attributes.ints('scan_output_axes') ?? [];
  const stacks = results.slice(states.length).map((value, i): Value => {
    if (isLost(value)) return value;
    if (!isPlain(value)) return unknown(operation, NOT_PLAIN);
    if (!isConstant(value) || value.counted) return mixed(operation, 'its body sees all rows');
    // The body takes its row for a constant: a size that it computes may follow from what is in the row.
    if (value.shape === undefined || value.shape.some((size) => isOfInside(operation, size))) {
      return unknown(operation, 'a size of its result may be another for each row');
    }
    const axis = (places[i] ?? 0) < 0 ? placeOf(places[i]! + 1, value) : (places[i] ?? 0);
    if (Number.isNaN(axis)) return unknown(operation, 'the rank of a result is not known');
    return withRows({ ...first!.rows!, axis }, value.shape?.toSpliced(axis, 0, number(0)));
  });
  return [...(states as Tracked[]), ...stacks];
}

/** A node gave the size that comes later than this one: those of its body do. Of a shortened name, nothing is known. */
function isOfInside({ id }: Operation, { symbols }: Size): boolean {
  return symbols.some(
    (name) => name.includes('~') || [...name.matchAll(/(\d+):/g)].some(([, of]) => Number(of) < Number(id)),
  );
}

function sliced(operation: Operation, { input, axis }: Scanned): Value {
  if (input === undefined) return unknown(operation, 'an input is left out');
  const shape = input.shape?.filter((_, i) => i !== axis);
  if (!carriesRows(input)) return input.counted ? countedConstant(shape) : constant(shape);
  if (Number.isNaN(axis)) return unknown(operation, 'the rank of an input is not known');
  return withRows({ ...input.rows, axis: input.rows.axis - (axis < input.rows.axis ? 1 : 0) }, shape);
}

function stacked(operation: Operation, value: Value, axis: number): Value {
  if (isLost(value)) return value;
  if (!isPlain(value)) return unknown(operation, NOT_PLAIN);
  const place = axis < 0 ? axis + (value.shape === undefined ? Number.NaN : value.shape.length + 1) : axis;
  const steps: Size = newSize(operation, 'steps');
  const shape = value.shape?.toSpliced(place, 0, steps);
  if (!carriesRows(value)) return value.counted ? countedConstant(shape) : constant(shape);
  if (Number.isNaN(place)) return unknown(operation, 'the rank of a result is not known');
  return withRows({ ...value.rows, axis: value.rows.axis + (place <= value.rows.axis ? 1 : 0) }, shape);
}

/** Operators whose attributes hold graphs that they run. */
export const CONTROL_FLOW: Readonly<Record<string, (operation: Operation, run: RunBody) => Result>> = {
  If: branch,
  Loop: loop,
  Scan: scan,
};
