import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Bytes,
  deeper,
  type Field,
  fields,
  int64s,
  openBytes,
  textOf,
  WireError,
} from '../../functions/onnx/wire.ts';
import { tempFiles } from '../helpers/temp-file.ts';
import { concat, field } from '../helpers/wire.ts';

const file = tempFiles('wire-');
let files = 0;

function withBytes<T>(content: Uint8Array, use: (bytes: Bytes) => T): T {
  const bytes = openBytes(file(`${files++}`, content));
  try {
    return use(bytes);
  } finally {
    bytes.close();
  }
}

const bytesOf = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const all = (content: Uint8Array): Field[] => withBytes(content, (bytes) => [...fields(bytes, 0, bytes.size)]);

test('fields are found by the examples of the protobuf encoding guide', () => {
  // https://protobuf.dev/programming-guides/encoding/: 08 96 01 is field 1 of 150, 12 07 and seven letters field 2.
  const content = bytesOf(0x08, 0x96, 0x01, 0x12, 0x07, ...Buffer.from('testing'));
  assert.deepEqual(all(content), [
    { number: 1, wire: 0, start: 0, from: 1, to: 3 },
    { number: 2, wire: 2, start: 3, from: 5, to: 12 },
  ]);
  withBytes(content, (bytes) => {
    assert.equal(textOf(bytes, { number: 0, wire: 2, start: 0, from: 0, to: bytes.size }, 2), 'testing');
  });
});

test('fixed numbers have 8 and 4 bytes', () => {
  // Wire types 1 and 5, of fields 1 and 2.
  assert.deepEqual(all(bytesOf(0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4)), [
    { number: 1, wire: 1, start: 0, from: 1, to: 9 },
    { number: 2, wire: 5, start: 9, from: 10, to: 14 },
  ]);
});

test('int64s are read alone and packed, with all their bits and their sign', () => {
  // A negative int64 has ten bytes: -1 is nine of ff and 01.
  const minusOne = [...Array<number>(9).fill(0xff), 0x01];
  const largest = [...Array<number>(8).fill(0xff), 0x7f];
  const content = concat(bytesOf(0x40, ...minusOne), field(8, bytesOf(0x96, 0x01, ...largest, ...minusOne)));
  withBytes(content, (bytes) => {
    const values = [...fields(bytes, 0, bytes.size)].flatMap((one) => int64s(bytes, one));
    assert.deepEqual(values, [-1n, 150n, 2n ** 63n - 1n, -1n]);
  });
});

const BROKEN: [title: string, content: number[], message: RegExp, end: number | undefined][] = [
  ['a length beyond the message', [0x12, 0x05, 1, 2], /field 2 ends at byte 7, its message at byte 4/, 7],
  ['a length beyond every file', [0x12, ...Array(9).fill(0xff), 0x7f], /field 2 ends at byte/, 2 ** 70 + 11],
  ['a length without content', [0x12, 0x01], /ends at byte 3, its message at byte 2/, 3],
  ['a fixed number cut short', [0x09, 1, 2, 3], /ends at byte 9/, 9],
  ['a tag cut short', [0x08, 0x01, 0x92], /does not end within its message/, 4],
  ['a varint cut short', [0x08, 0x96], /does not end within its message/, 3],
  ['a varint of eleven bytes', [0x08, ...Array(10).fill(0x80), 0x01], /a number of more than 10 bytes/, undefined],
  ['a tag without a number', [0x02, 0x00], /no field has the tag 2/, undefined],
  ['a tag of 33 bits', [0x80, 0x80, 0x80, 0x80, 0x10, 0], /no field has the tag 4294967296/, undefined],
  ['a group', [0x0b, 0x0c], /field 1 has the wire type 3/, undefined],
  ['a wire type that there is not', [0x0f], /field 1 has the wire type 7/, undefined],
];
for (const [title, content, message, end] of BROKEN) {
  test(`${title} is refused`, () => {
    assert.throws(
      () => all(Uint8Array.from(content)),
      (error) => error instanceof WireError && message.test(error.message) && error.end === end,
    );
  });
}

test('messages of up to one hundred levels are read', () => {
  let depth = 0;
  for (let level = 0; level < 100; level++) depth = deeper(depth);
  assert.throws(() => deeper(depth), WireError);
});

const anyField = fc.tuple(
  fc.integer({ min: 1, max: 2 ** 29 - 1 }),
  fc.oneof(fc.nat(), fc.uint8Array({ maxLength: 300 })),
);

test('the fields of any message are read in order, with their places, across windows', () => {
  fc.assert(
    fc.property(fc.array(anyField, { maxLength: 40 }), fc.nat(40_000), (list, gap) => {
      const parts = [field(1, new Uint8Array(gap)), ...list.map(([number, content]) => field(number, content))];
      const content = concat(...parts);
      withBytes(content, (bytes) => {
        let at = 0;
        for (const [i, one] of [...fields(bytes, 0, bytes.size)].entries()) {
          assert.deepEqual(bytes.read(one.start, one.to), parts[i]);
          assert.equal(one.start, at);
          at = one.to;
        }
        assert.equal(at, content.length);
      });
    }),
  );
});

test('random bytes are read or refused with a WireError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (content) => {
      try {
        assert.ok(all(content).every(({ from, to }) => from <= to && to <= content.length));
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }),
  );
});
