import { DATA_LOCATION } from './data-type.ts';
import { type Bytes, deeper, type Field, fields, int64, textOf } from './wire.ts';

/**
 * Collects the files with external data of a graph's tensors: of initializers, dense and sparse, and of the tensors in attributes,
 * nested graphs included.
 * @param graph the field with the GraphProto
 * @param into gets the locations as the model has them
 * @throws WireError
 */
export function addGraphData(bytes: Bytes, graph: Field, depth: number, into: Set<string>): void {
  for (const field of fields(bytes, graph.from, graph.to)) {
    if (field.number === 1) addNodeData(bytes, field, deeper(depth), into);
    else if (field.number === 5) addTensorData(bytes, field, into);
    else if (field.number === 15) addSparseData(bytes, field, into);
  }
}

/** As `addGraphData`, for the attributes of one NodeProto. @throws WireError */
export function addNodeData(bytes: Bytes, node: Field, depth: number, into: Set<string>): void {
  for (const field of fields(bytes, node.from, node.to)) {
    if (field.number === 5) addAttributeData(bytes, field, deeper(depth), into);
  }
}

function addAttributeData(bytes: Bytes, attribute: Field, depth: number, into: Set<string>): void {
  for (const field of fields(bytes, attribute.from, attribute.to)) {
    switch (field.number) {
      case 2: // f
      case 3: // i
      case 4: // s
      case 7: // floats
      case 8: // ints
      case 9: // strings
        // An attribute has one kind of value. The lists of a tree ensemble, of up to hundreds of millions of elements with a field
        // each, are not read.
        return;
      case 5: // t
      case 10: // tensors
        addTensorData(bytes, field, into);
        break;
      case 6: // g
      case 11: // graphs
        addGraphData(bytes, field, deeper(depth), into);
        break;
      case 22: // sparse_tensor
      case 23: // sparse_tensors
        addSparseData(bytes, field, into);
    }
  }
}

/** The values and the indices of a SparseTensorProto are tensors. */
function addSparseData(bytes: Bytes, sparse: Field, into: Set<string>): void {
  for (const field of fields(bytes, sparse.from, sparse.to)) {
    if (field.number === 1 || field.number === 2) addTensorData(bytes, field, into);
  }
}

function addTensorData(bytes: Bytes, tensor: Field, into: Set<string>): void {
  let location = '';
  let external = false;
  for (const field of fields(bytes, tensor.from, tensor.to)) {
    // string_data has a field for each element, and strings are never external.
    if (field.number === 6) return;
    if (field.number === 13 && textOf(bytes, field, 1) === 'location') location = textOf(bytes, field, 2);
    if (field.number === 14 && field.wire === 0) external = Number(int64(bytes, field)) === DATA_LOCATION.external;
  }
  if (external) into.add(location);
}
