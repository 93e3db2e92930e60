import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const picture = (name: string): Buffer => readFileSync(join(ROOT, 'docs/pictures', name));

test('the pictures of the page are small, have the shape of that of the architecture, and differ in their colours', () => {
  const [light, dark] = ['page-light.png', 'page-dark.png'].map(picture) as [Buffer, Buffer];
  for (const png of [light, dark]) {
    assert.equal(png.toString('latin1', 1, 4), 'PNG');
    assert.ok(png.length <= 150_000, String(png.length));
    assert.equal(png.readUInt32BE(16) / png.readUInt32BE(20), 480 / 360);
  }
  assert.notDeepEqual(light, dark);
});

test('the two pictures of the architecture are the same but for their colours', () => {
  const [light, dark] = ['light', 'dark'].map((scheme) => String(picture(`architecture-${scheme}.svg`)));
  const withoutColours = (svg: string): string => svg.replace(/#[0-9a-f]{6}\b/g, '#');
  assert.equal(withoutColours(dark!), withoutColours(light!));
  assert.notEqual(dark, light);
  assert.match(light!, /viewBox="0 0 480 360"/);
});

test('the text of the architecture is at least 12 px high, and is in the fonts of the system', () => {
  const svg = String(picture('architecture-light.svg'));
  const sizes = Array.from(svg.matchAll(/font(?:-size)?: (\d+)px/g), ([, size]) => Number(size));
  assert.ok(sizes.length >= 2 && sizes.every((size) => size >= 12), String(sizes));
  assert.doesNotMatch(svg, /@import|@font-face|https?:(?!\/\/www\.w3\.org\/2000\/svg)/);
});

test('pictures --help says what it takes and writes', () => {
  const help = execFileSync(process.execPath, [join(ROOT, 'scripts/pictures.ts'), '--help'], { encoding: 'utf8' });
  assert.match(help, /^usage: node scripts\/pictures\.ts \[FOLDER\]/);
});
