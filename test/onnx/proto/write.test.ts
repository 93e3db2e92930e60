import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { writeModel } from '../../../functions/onnx/proto/write.ts';
import { concat, field } from '../../helpers/wire.ts';

test('fields unknown to the subset are written back, whatever message they are in', () => {
  const floats = new Uint8Array(Float32Array.of(1.5, -2).buffer);
  // TensorProto: dims, data_type, float_data (4, outside the subset), name.
  const tensor = concat(field(1, 2), field(2, 1), field(8, 'w'), field(4, floats));
  // NodeProto: op_type, and field 99, which no version has.
  const node = concat(field(4, 'Identity'), field(99, 'from the future'));
  const graph = field(7, concat(field(1, node), field(2, 'g'), field(5, tensor)));
  // ModelProto.training_info (20) is outside the subset; fields come in number order, unknown ones last.
  const file = concat(field(1, 8), graph, field(8, field(2, 17)), field(20, field(3, 'x')), field(99, 7));

  assert.deepEqual(writeModel(readModel(file, 'm.onnx')), file);
});

test('a field with its default value is distinguished from a missing one', () => {
  // OperatorSetIdProto.domain = "" is commonly written; TensorShapeProto.Dimension without a value is an unknown size.
  const shape = field(2, concat(field(1, field(1, 0)), field(1, new Uint8Array(0))));
  const input = concat(field(1, 'x'), field(2, field(1, concat(field(1, 1), shape))));
  const opset = concat(field(1, ''), field(2, 17));
  const file = concat(field(1, 8), field(7, concat(field(2, ''), field(11, input))), field(8, opset));

  assert.deepEqual(writeModel(readModel(file, 'm.onnx')), file);
});

test('a change is written and the rest stays', () => {
  const graph = concat(field(2, 'g'), field(77, 'kept'));
  const model = readModel(concat(field(1, 8), field(7, graph), field(8, field(2, 17))), 'm.onnx');
  model.producerName = 'changed';
  assert.deepEqual(
    writeModel(model),
    concat(field(1, 8), field(2, 'changed'), field(7, graph), field(8, field(2, 17))),
  );
});
