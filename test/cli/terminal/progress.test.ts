import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { bar } from '../../../functions/cli/terminal/bar.ts';
import { createProgress, type TerminalStream } from '../../../functions/cli/terminal/progress.ts';
import { createStyles } from '../../../functions/cli/terminal/styles.ts';

function stream(isTTY: boolean): { stream: TerminalStream; written: () => string } {
  const chunks: string[] = [];
  const target = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  return { stream: Object.assign(target, { isTTY, columns: 60, rows: 20 }), written: () => chunks.join('') };
}

test('a terminal shows a bar with the part that is done, which is removed at the end', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { stream: terminal, written } = stream(true);
  const progress = await createProgress(terminal);
  progress.step('reading a.onnx');
  progress.update(1, 2, '1 MB of 2 MB');
  t.mock.timers.tick(100);
  assert.match(written(), /reading a\.onnx: .*\[#{12}-{12}\] {2}50 % 1 MB o/);
  const before = written().length;
  progress.end();
  assert.ok(written().slice(before).includes('\u001b[2K'), 'the line is erased');
  t.mock.timers.tick(1000);
  const after = written().length;
  t.mock.timers.tick(1000);
  assert.equal(written().length, after, 'nothing is drawn any more');
});

test('a note stays above the bar', async () => {
  const { stream: terminal, written } = stream(true);
  const progress = await createProgress(terminal);
  progress.step('reading');
  progress.note('a warning');
  progress.end();
  assert.match(written(), /reading.*a warning\n.*reading/s);
});

test('a line on a terminal is not longer than the terminal is wide', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { stream: terminal, written } = stream(true);
  const progress = await createProgress(terminal);
  progress.step(`reading ${'x'.repeat(200)}`);
  progress.update(1, 2, 'y'.repeat(200));
  t.mock.timers.tick(100);
  progress.end();
  assert.match(written(), /reading x{51}/);
  assert.doesNotMatch(written(), /x{52}|y/);
});

test('where there is no terminal, each step is a line; or nothing, if that is wanted', async () => {
  const { stream: pipe, written } = stream(false);
  const progress = await createProgress(pipe);
  progress.step('loading a\nb');
  progress.update(1, 2, 'half');
  progress.end();
  assert.equal(written(), 'loading a\\u000ab\n');
  const silent = stream(false);
  (await createProgress(silent.stream, true)).step('loading');
  assert.equal(silent.written(), '');
});

test('a bar is full at 100 % and not before', () => {
  assert.equal(bar(0), '[------------------------]   0 %');
  assert.match(bar(0.999), / 99 %$/);
  assert.equal(bar(1), '[########################] 100 %');
  assert.equal(bar(7), bar(1));
});

test('styles are for terminals alone', () => {
  assert.equal(createStyles(stream(false).stream).red('no'), 'no');
});
