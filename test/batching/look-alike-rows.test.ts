import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readRowIndependence } from '../../functions/batching/read-row-independence.ts';
import { createNet } from '../helpers/graphs/net.ts';
import { CONTROL_FLOW } from '../helpers/look-alike-rows/control-flow.ts';
import { OPERATORS } from '../helpers/look-alike-rows/operators.ts';
import { STYLE } from '../helpers/look-alike-rows/parts.ts';

const folder = mkdtempSync(join(tmpdir(), 'look-alike-rows-'));
after(() => rmSync(folder, { recursive: true }));

for (const { title, write, style } of [...OPERATORS, ...CONTROL_FLOW]) {
  test(`${title}: rows are not proved apart`, () => {
    const net = createNet('main', { ...STYLE, ...style });
    net.output(write(net), 'float32');
    const path = join(folder, 'model.onnx');
    writeFileSync(path, net.build());
    const found = readRowIndependence(path);
    assert.notEqual(found.verdict, 'proved');
    assert.doesNotMatch('reason' in found ? found.reason : '', /could not be followed/);
  });
}
