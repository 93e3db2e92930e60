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

/** Follows the graph in an attribute of a node: from the values of the graph's inputs to those of its outputs. */
type RunBody = (attribute: string, inputs: readonly Value[]) => Value[];

/** The state of a Loop settles after a few rounds, because in each round less is known of it, or the same. */
const MAX_ROUNDS = 12;
/** Part of the name of a size of a state, which may differ from round to round. */
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

/** The state after the last round. Sizes that differ from round to round get new names: the last need not be those of a round. */
function ofLastRound(operation: Operation, place: number, value: Value): Value {
  if (isLost(value)) return value;
  const prefix = newSize(operation, STATE).symbols[0]!;
  const shape = value.shape?.map((size, axis) =>
    size.symbols.some((name) => name.startsWith(prefix)) ? newSize(operation, `last ${place}:${axis}`) : size,
  );
  return { ...value, shape };
}

interface Round {
  /** The condition of a Loop to continue. */
  readonly before: Value;
  readonly state: readonly Value[];
  readonly rest: readonly Value[];
}

/** Follows a body until the same is known of its state before and after a round. */
function settled(
  operation: Operation,
  initial: readonly (Tracked | undefined)[],
  round: (state: readonly Value[]) => Round,
): { state: readonly Value[]; outputs: Round } {
  let state: readonly Value[] = initial.map((value) => value ?? unknown(operation, 'a state is missing'));
  for (let rounds = 0; ; rounds++) {
    const outputs = round(state);
    const next = state.map((value, i) =>
      merge(
        operation,
        `${STATE} ${i}`,
        value,
        outputs.state[i] ?? unknown(operation, 'its body lacks an output for a state'),
      ),
    );
    if (next.every((value, i) => isSame(value, state[i]!))) return { state: next, outputs };
    state = rounds < MAX_ROUNDS ? next : next.map(() => unknown(operation, 'its state does not settle'));
  }
}

/** Scan: its body gets the slices along an axis one by one, with a state; its outputs are stacked along an axis. */
function scan(operation: Operation, run: RunBody): Result {
  if (operation.opset < 9) return unknown(operation, 'there is no rule for it in operator set 8');
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

/** Whether a value can be stacked or cut into slices: it depends on no place of a row, is not padded, and is no sequence. */
const isPlain = (value: Tracked): boolean =>
  !isPositional(value) && value.padding === undefined && value.isSequence !== true;
const NOT_PLAIN = 'there is no rule for it on such values';

interface Scanned {
  readonly input: Tracked | undefined;
  /** NaN if the axis counts from the last and the rank is not known. */
  readonly axis: number;
}

const placeOf = (axis: number, input: Tracked | undefined): number =>
  axis < 0 ? axis + (input?.shape?.length ?? Number.NaN) : axis;

/**
 * Scan along the axis of the rows. The rows do not influence each other if the body gets one row at a time and returns its state
 * unchanged: skl2onnx exports distances to the training data so. In the body, the row is followed as a constant.
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
  if (turned.some((direction) => direction !== 0)) return mixed(operation, 'it reverses the order of the rows');
  const graph = operation.attributes.graph('body');
  if (graph === undefined || !states.every((state) => state !== undefined && isConstant(state) && !state.counted)) {
    return mixed(operation, 'it scans the rows one by one, and its state depends on rows');
  }
  const source = new Map(
    graph.nodes.filter(({ operator }) => operator === 'Identity').map((node) => [node.outputs[0]!, node.inputs[0]!]),
  );
  const keepsState = states.every((_, i) => {
    let name = graph.outputs[i]?.name;
    for (let steps = source.size; name !== graph.inputs[i]?.name && steps > 0; steps--) name = source.get(name ?? '');
    return name !== undefined && name === graph.inputs[i]?.name;
  });
  if (!keepsState)
    return mixed(operation, 'it scans the rows one by one, and its state passes from one row to the next');
  const slices = scanned.map(({ input, axis }) => constant(input!.shape?.filter((_, i) => i !== axis)));
  const results = run('body', [...(states as Tracked[]), ...slices]);
  const places = operation.attributes.ints('scan_output_axes') ?? [];
  const stacks = results.slice(states.length).map((value, i): Value => {
    if (isLost(value)) return value;
    if (!isPlain(value)) return unknown(operation, NOT_PLAIN);
    if (!isConstant(value) || value.counted) return mixed(operation, 'its body uses all rows');
    // In the body the row counts as a constant, so that a size computed there may depend on the values of the row.
    if (value.shape === undefined || value.shape.some((size) => isOfInside(operation, size))) {
      return unknown(operation, 'a size of its result may differ from row to row');
    }
    const axis = (places[i] ?? 0) < 0 ? placeOf(places[i]! + 1, value) : (places[i] ?? 0);
    if (Number.isNaN(axis)) return unknown(operation, 'the rank of a result is not known');
    return withRows({ ...first!.rows!, axis }, value.shape?.toSpliced(axis, 0, number(0)));
  });
  return [...(states as Tracked[]), ...stacks];
}

/** Whether a node of the body may have given the size: its id is lower than that of the Scan. A shortened name may have any. */
function isOfInside({ id }: Operation, { symbols }: Size): boolean {
  return symbols.some(
    (name) => name.includes('~') || [...name.matchAll(/(\d+):/g)].some(([, of]) => Number(of) < Number(id)),
  );
}

function sliced(operation: Operation, { input, axis }: Scanned): Value {
  if (input === undefined) return unknown(operation, 'an input is missing');
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

/**
 * The rules of the operators that run graphs in their attributes: If, Loop and Scan of
 * https://onnx.ai/onnx/operators/index.html. They take the node, and a function that follows such a graph.
 */
export const CONTROL_FLOW: Readonly<Record<string, (operation: Operation, run: RunBody) => Result>> = {
  If: branch,
  Loop: loop,
  Scan: scan,
};
