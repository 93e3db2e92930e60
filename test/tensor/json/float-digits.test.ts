import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exponent, mantissa, shortestFloat32, textOfFloat16 } from '../../../functions/tensor/json/float-digits.ts';

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** The shortest decimal by its definition: the fewest digits of `toPrecision` that read back. */
function shortest(value: number, round: (value: number) => number): { digits: number; decimal: number } {
  for (let digits = 1; ; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (round(decimal) === value) return { digits, decimal };
  }
}

function assertShortest(raw: number): void {
  bits[0] = raw;
  const value = floats[0]!;
  shortestFloat32(value);
  const { digits, decimal } = shortest(value, Math.fround);
  assert.equal(Number(`${mantissa}e${exponent}`), decimal);
  assert.equal(String(mantissa).length, digits, `${value}`);
}

test('the decimal of a float32 is the shortest that reads back, for any exponent', () => {
  for (let biased = 0; biased < 255; biased++) {
    for (const fraction of [0, 1, 2, 0x400000, 0x7ffffe, 0x7fffff]) {
      if (biased + fraction > 0) assertShortest(biased * 0x800000 + fraction);
    }
  }
});

test('the decimal of a float32 is the shortest that reads back, for random bits and for round numbers', () => {
  for (let i = 0; i < 100_000; i++) assertShortest(1 + Math.floor(Math.random() * (0x7f800000 - 1)));
  for (let i = 1; i < 20_000; i++) {
    for (const value of [i / 100, i / 1000, i * 1e5, i * 1e-9]) {
      floats[0] = value;
      assertShortest(bits[0]!);
    }
  }
});

test('the text of every float16 is the shortest that reads back', () => {
  const raws = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const halves = new Float16Array(raws.buffer);
  for (let raw = 0; raw < 65536; raw++) {
    const value = halves[raw]!;
    if (!Number.isFinite(value)) continue;
    const expected = value === 0 ? value : shortest(value, Math.f16round).decimal;
    const text = textOfFloat16(value, raw);
    assert.equal(text, Object.is(expected, -0) ? '-0' : String(expected));
  }
});
