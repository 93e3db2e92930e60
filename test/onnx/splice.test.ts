import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble, field, fresh, header, numberField, splice } from '../../functions/onnx/splice.ts';
import { openBytes } from '../../functions/onnx/wire.ts';
import { tempFiles } from '../helpers/temp-file.ts';
import * as byHand from '../helpers/wire.ts';

const file = tempFiles('splice-');

test('edits replace their bytes, in any order, and the rest stays', () => {
  const bytes = openBytes(file('letters', 'abcdefghij'));
  const edits = [
    { start: 7, to: 8, content: Buffer.from('HHH') },
    { start: 0, to: 1, content: Buffer.from('') },
    { start: 3, to: 5, content: Buffer.from('-') },
  ];
  const part = splice(0, 9, edits);
  assert.equal(part.bytes, 9);
  const whole = assemble(bytes, [fresh(Buffer.from('<')), part, fresh(Buffer.from('>')), splice(9, 10, [])]);
  assert.equal(Buffer.from(whole).toString(), '<bc-fgHHHi>j');
  bytes.close();
});

test('fields are written in the format of protobuf', () => {
  assert.deepEqual(new Uint8Array(field(2, 'testing')), byHand.field(2, 'testing'));
  assert.deepEqual(
    new Uint8Array(field(12, 'ø', byHand.field(1, 3))),
    byHand.field(12, byHand.concat(Buffer.from('ø'), byHand.field(1, 3))),
  );
  assert.deepEqual(numberField(1, 150), byHand.field(1, 150));
  assert.deepEqual(header(7, 2 ** 31 - 1), Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x07));
});
