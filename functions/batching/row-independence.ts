import {
  boundNodes,
  functionKey,
  type Graph,
  type GraphFunction,
  type GraphNode,
  type ModelGraph,
} from '../onnx/graph.ts';
import { CONTROL_FLOW } from './control-flow.ts';
import { RULES } from './rules/table.ts';
import { Scope } from './scope.ts';
import {
  DEPENDS_ON_COUNT,
  DEPENDS_ON_PLACE,
  isConstant,
  mixed,
  type Operation,
  type Result,
  unknown,
} from './values/operation.ts';
import { isNumber, number, symbol } from './values/size.ts';
import {
  constant,
  countedConstant,
  isLost,
  isPositional,
  type Lost,
  rowAxis,
  type Tracked,
  type Value,
  withRows,
} from './values/tracked-value.ts';

/**
 * Whether rows of different requests may share a run, according to the graph.
 * `proved`: they may; the outputs of a row depend on that row and on constants alone.
 * `mixed`: they must not; rows influence each other, or an output has not one row for each row of the inputs.
 * `unknown`: the graph does not decide it, for example because of an operator without a rule.
 */
export type RowIndependence =
  | { readonly verdict: 'proved' }
  | {
      readonly verdict: 'mixed' | 'unknown';
      /** The operator that is the reason, with its domain unless that is ONNX's own; undefined if an input or output is. */
      readonly operator?: string;
      readonly node?: string;
      /** A sentence for logs and documents, without a full stop. */
      readonly reason: string;
    };

/** The most nodes that are followed, far more than a model has: functions that call functions could make a small file take long. */
const MAX_STEPS = 200_000;
const MAX_CALLS = 32;

interface Context {
  readonly model: ModelGraph;
  readonly opsets: ReadonlyMap<string, number>;
  readonly calls: number;
  readonly steps: { remaining: number };
}

/**
 * Follows the rows of a run through a graph. Every input of the graph is [rows, …]; the rule of each operator gives the axis of
 * its outputs that carries the rows. Nothing is run, and no weights are read.
 */
export function findRowIndependence(model: ModelGraph): RowIndependence {
  const { graph } = model;
  const scope = new Scope();
  for (const [i, { name, shape }] of graph.inputs.entries()) {
    if (graph.constants.has(name)) continue;
    if (shape === undefined) return { verdict: 'unknown', reason: `the file does not give the rank of input ${name}` };
    const [first] = shape;
    if (shape.length === 0 || typeof first === 'number') {
      return { verdict: 'mixed', reason: `the first dimension of input ${name} is not free, so it carries no rows` };
    }
    const sizes = shape.map((size, axis) => (typeof size === 'number' ? number(size) : symbol(`input${i}.${axis}`)));
    scope.set(name, withRows(rowAxis(0), sizes));
  }
  const context: Context = { model, opsets: model.opsets, calls: 0, steps: { remaining: MAX_STEPS } };
  walk(graph, scope, context);
  for (const { name } of graph.outputs) {
    const producer = graph.nodes.findLast(({ outputs }) => outputs.includes(name));
    const refused = whyRefused(name, scope.get(name), producer);
    if (refused !== undefined) return refused;
  }
  return { verdict: 'proved' };
}

/** Why an output is not [rows, …]; undefined if it is. */
function whyRefused(
  name: string,
  value: Value | undefined,
  producer: GraphNode | undefined,
): RowIndependence | undefined {
  const node = producer && { operator: typeOf(producer), node: nameOf(producer) };
  if (value === undefined) return { verdict: 'unknown', ...node, reason: `no node gives output ${name}` };
  if (isLost(value)) {
    const { lost, operator, node: place, reason } = value;
    return { verdict: lost, operator, node: place, reason };
  }
  const { rows, padding } = value;
  if (isPositional(value))
    return { verdict: 'mixed', ...node, reason: `output ${name} has the places of rows in the run` };
  if (rows === undefined) return { verdict: 'mixed', ...node, reason: `output ${name} does not depend on the rows` };
  if (padding !== undefined) {
    return { verdict: 'mixed', ...node, reason: `output ${name} is padded to the longest row of the run` };
  }
  if (rows.axis !== 0)
    return { verdict: 'mixed', ...node, reason: `output ${name} has its rows along axis ${rows.axis}` };
  if (isNumber(rows.outer, 1) && isNumber(rows.inner, 1)) return undefined;
  return {
    verdict: 'mixed',
    ...(rows.by ?? node),
    reason: `output ${name} has several entries for each row along axis 0`,
  };
}

/** Follows the values through a graph into `scope`. @param setInputs called when `scope` has the constants */
function walk(
  graph: Pick<Graph, 'nodes'> & Partial<Graph>,
  scope: Scope,
  context: Context,
  setInputs?: () => void,
): void {
  for (const [name, { shape, elements }] of graph.constants ?? []) {
    const numbers = elements?.map(number);
    scope.set(name, { shape: shape.map(number), rows: undefined, elements: numbers, counted: false });
  }
  setInputs?.();
  for (const node of graph.nodes) {
    const result = step(node, scope, context);
    for (const [i, name] of node.outputs.entries()) scope.set(name, valueAt(result, i, node));
  }
}

function valueAt(result: Result, output: number, node: GraphNode): Value {
  const value = Array.isArray(result) ? (result as readonly Value[])[output] : (result as Value);
  return value ?? lostAt(node, `its output ${output} is not followed`);
}

function lostAt(node: GraphNode, reason: string): Lost {
  return { lost: 'unknown', operator: typeOf(node), node: nameOf(node), reason };
}

const typeOf = ({ domain, operator }: GraphNode): string => (domain === '' ? operator : `${domain}.${operator}`);
const nameOf = ({ name, outputs }: GraphNode): string => name || (outputs[0] ?? '');

function step(node: GraphNode, scope: Scope, context: Context): Result {
  if (context.steps.remaining-- <= 0) return lostAt(node, `it takes more than ${MAX_STEPS} steps to follow the graph`);
  const inputs: (Tracked | undefined)[] = [];
  let lost: Lost | undefined;
  for (const name of node.inputs) {
    const value = scope.get(name);
    if (value === undefined && name !== '' && !scope.has(name)) return lostAt(node, `no node gives its input ${name}`);
    if (value === undefined || !isLost(value)) inputs.push(value);
    else if (lost === undefined || (lost.lost === 'unknown' && value.lost === 'mixed')) lost = value;
  }
  if (lost !== undefined) return lost;

  const type = typeOf(node);
  const { functions } = context.model;
  const called = functions.size > 0 ? functions.get(functionKey(node.domain, node.operator, node.overload)) : undefined;
  if (called !== undefined && isOperator(type)) return lostAt(node, 'the file has a function of the same name');
  const opset = context.opsets.get(node.domain);
  // onnxruntime would take the newest operator set that it knows, which is not known here.
  if (opset === undefined && node.domain === '')
    return lostAt(node, 'the file does not give the version of its operator set');
  const operation: Operation = {
    type,
    node: nameOf(node),
    id: String(context.steps.remaining),
    opset: opset ?? 1,
    inputs,
    outputs: node.outputs.length,
    attributes: node.attributes,
  };
  if (Object.hasOwn(CONTROL_FLOW, type))
    return CONTROL_FLOW[type]!(operation, (name, given) => runBody(operation, name, scope, context, given));
  if (called !== undefined) return call(called, operation, node, context);
  return applyRule(operation);
}

const isOperator = (type: string): boolean => Object.hasOwn(RULES, type) || Object.hasOwn(CONTROL_FLOW, type);

function applyRule(operation: Operation): Result {
  const rule = Object.hasOwn(RULES, operation.type) ? RULES[operation.type] : undefined;
  const { inputs } = operation;
  const { sizes = [], keepsNumbers = false } = rule ?? {};
  let [hasRows, counted, padded, sequences, positional] = [false, false, false, false, false];
  for (const [i, input] of inputs.entries()) {
    if (input === undefined) continue;
    hasRows ||= input.rows !== undefined;
    counted ||= input.counted && sizes !== 'all' && !sizes.includes(i);
    padded ||= input.padding !== undefined;
    sequences ||= input.isSequence === true;
    positional ||= isPositional(input) && !(keepsNumbers && i === 0 && input.leadsWithRow !== true);
  }
  if (rule === undefined) {
    // A graph inside the node can use values that are not among the node's inputs.
    if (hasRows || operation.attributes.hasGraph) return unknown(operation, 'there is no rule for this operator');
    return counted ? countedConstant() : constant();
  }
  if (counted) return hasRows ? mixed(operation, DEPENDS_ON_COUNT) : countedConstant();
  if (padded && rule.padded !== true) {
    return mixed(operation, 'its input is padded to the longest row of the run');
  }
  if (sequences && rule.takesSequences !== true) return unknown(operation, 'there is no rule for it on sequences');
  if (positional && rule.takesNumbers !== true) return mixed(operation, DEPENDS_ON_PLACE);
  const result = rule.apply(operation);
  if (
    hasRows &&
    rule.readsSizesOnly !== true &&
    valuesOf(result).some((value) => !isLost(value) && isConstant(value))
  ) {
    return unknown(operation, 'its result depends on the values of rows in a way that is not followed');
  }
  const numbering = keepsNumbers ? inputs[0]?.numbering : undefined;
  if (numbering === undefined || Array.isArray(result) || isLost(result as Value)) return result;
  return { ...(result as Tracked), numbering };
}

const valuesOf = (result: Result): readonly Value[] =>
  Array.isArray(result) ? (result as readonly Value[]) : [result as Value];

/** Follows the nodes of a function, with the inputs and attributes of the node that calls it. */
function call(called: GraphFunction, operation: Operation, node: GraphNode, context: Context): Result {
  if (context.calls >= MAX_CALLS) return unknown(operation, `functions call each other more than ${MAX_CALLS} deep`);
  // onnxruntime runs its nodes as those of the model's operator set, where they may be defined differently.
  const version = called.opsets.get('');
  if (version !== undefined && version !== context.model.opsets.get('')) {
    return unknown(operation, 'the function is of another version of the operator set than the model');
  }
  const scope = new Scope();
  for (const [i, name] of called.inputs.entries()) scope.set(name, operation.inputs[i]);
  const nodes = boundNodes(called.nodes, { given: node.attributes, defaults: called.defaults });
  walk({ nodes }, scope, { ...context, opsets: called.opsets, calls: context.calls + 1 });
  return called.outputs.map(
    (name) => scope.get(name) ?? unknown(operation, `no node gives output ${name} of the function`),
  );
}

/** Follows a graph inside a node. @returns the values of its outputs */
function runBody(
  operation: Operation,
  name: string,
  outer: Scope,
  context: Context,
  inputs: readonly Value[],
): Value[] {
  const graph = operation.attributes.graph(name);
  if (graph === undefined)
    return Array.from({ length: operation.outputs }, () => unknown(operation, `it has no ${name}`));
  const scope = new Scope(outer);
  walk(graph, scope, context, () => {
    // A value from the node replaces an initializer of the same name, which is only the default.
    for (const [i, { name: input }] of graph.inputs.entries()) {
      if (inputs[i] !== undefined || !graph.constants.has(input)) scope.set(input, inputs[i]);
    }
  });
  return graph.outputs.map(
    (output) => scope.get(output.name) ?? unknown(operation, `no node gives ${output.name} in ${name}`),
  );
}
