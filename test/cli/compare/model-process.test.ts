import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openModelProcess } from '../../../functions/cli/compare/model-process.ts';
import { externalWeights, unknownOperator } from '../../helpers/models.ts';
import { tempFiles } from '../../helpers/temp-file.ts';
import { float32, joined } from '../../helpers/tensors.ts';

const file = tempFiles('model-process-');

test('a model runs in a process of its own, and its size includes its external data', async () => {
  const { model, data } = externalWeights('weights.bin');
  const path = file('external.onnx', model);
  file('weights.bin', data);
  const opened = await openModelProcess(path);
  try {
    assert.equal(opened.bytes, model.length + data.length);
    const [y] = await opened.run(joined(float32([1, 2], [1, 2])));
    assert.deepEqual([...(y!.data as Float32Array)], [10, 20]);
    assert.equal(opened.graph?.verdict, 'proved');
  } finally {
    opened.close();
  }
});

test('a model that does not load is reported with its path', async () => {
  const path = file('unknown.onnx', unknownOperator());
  await assert.rejects(openModelProcess(path), ({ message }: Error) => {
    assert.match(message, /NoSuchOperator/);
    assert.equal(message.split(path).length, 2);
    return message.startsWith(`${path}: `);
  });
  await assert.rejects(openModelProcess(`${path}.none`), /unknown\.onnx\.none/);
});
