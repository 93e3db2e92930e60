import { DATA_TYPES } from '../../../../onnx/data-type.ts';
import type { Scope } from '../../../../onnx/edit/graphs.ts';
import { node as createNode } from '../../../../onnx/proto/build.ts';
import type { GraphProto, NodeProto } from '../../../../onnx/proto/onnx_pb.ts';

const { float16, float32 } = DATA_TYPES;
/** The name of a value in front of a Cast, or behind it. */
const CAST_VALUE = /_cast_(\d+)$/;

/** A type of the new model for a value that was float32. */
export type Width = typeof float16 | typeof float32;

/** The names of a value in each type, as far as it exists in it. */
export type Versions = { [float16]?: string; [float32]?: string };

/** A graph that is converted, and those around it. */
export interface Place {
  readonly scope: Scope & { readonly graph: GraphProto };
  readonly outer: Place | undefined;
  /** Of its own values, and of those from outside that have a Cast here. */
  readonly versions: Map<string, Versions>;
  /** Gets the nodes of the new graph. */
  readonly into: NodeProto[];
}

/** The input of a node. */
interface Reader {
  readonly node: NodeProto;
  readonly input: number;
}

/** Gives values in both types. */
export interface ValueVersions {
  /** The name of a value in a type, after a Cast if it does not exist in it yet. */
  read(value: string, width: Width, place: Place, by: Reader): string;
  /** Adds a Cast. */
  cast(from: string, to: string, width: Width, place: Place): void;
}

/** @param names gives a name that is free */
export function createVersions(names: (base: string) => string): ValueVersions {
  function read(value: string, width: Width, place: Place, by: Reader): string {
    let found: Versions | undefined;
    for (let at: Place | undefined = place; at !== undefined && found === undefined; at = at.outer)
      found = at.versions.get(value);
    const known = found?.[width];
    if (known !== undefined) return known;
    const from = found?.[width === float16 ? float32 : float16] ?? value;
    // Its own name is free if the node that gives it was given another output.
    const isFree = from !== value && place.versions.has(value);
    const name = isFree ? value : names(castName(value, width, place, by));
    cast(from, name, width, place);
    place.versions.set(value, { ...found, [width]: name });
    return name;
  }

  function cast(from: string, to: string, width: Width, { into }: Place): void {
    // float16.py names the node as the value that it added, without the last underscore.
    const added = [to, from].find((value) => CAST_VALUE.test(value)) ?? `${to}_cast`;
    const name = names(added.replace(CAST_VALUE, '_cast$1'));
    into.push(createNode('Cast', [from], [to], { to: BigInt(width) }, { name }));
  }

  return { read, cast };
}

function castName(value: string, width: Width, { scope, outer }: Place, { node, input }: Reader): string {
  const at = outer === undefined ? scope.graph.input.findIndex(({ name }) => name === value) : -1;
  if (at !== -1) return `graph_input_cast_${at}`;
  return width === float32 ? `${node.name || value}_input_cast_${input}` : `${value}_float16`;
}
