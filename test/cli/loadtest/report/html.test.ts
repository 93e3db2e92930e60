import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { generate } from '../../../../functions/cli/loadtest/generator/generate.ts';
import { htmlReport } from '../../../../functions/cli/loadtest/report/html.ts';
import type { Report } from '../../../../functions/cli/loadtest/report/report.ts';
import { textReport } from '../../../../functions/cli/loadtest/report/text.ts';
import { judge } from '../../../../functions/cli/loadtest/slo.ts';
import { summarize } from '../../../../functions/cli/loadtest/summary.ts';
import { PLAIN } from '../../../../functions/cli/terminal/styles.ts';
import { createSimulatedClock, createSimulatedServer } from '../../../helpers/simulated-load.ts';

const HOSTILE = `<script>alert(1)</script>"'&\u001b[2J`;

/** The report of a simulated load: three steps, errors, and texts of a hostile server. */
async function makeReport(more: Partial<Report> = {}): Promise<Report> {
  const clock = createSimulatedClock();
  const server = createSimulatedServer(clock, {
    serviceMs: 5,
    respond: (nth) => ({ status: nth % 10 === 9 ? 500 : 200 }),
  });
  const rate = [50, 100, 150].map((level) => ({ seconds: 2, from: level, to: level }));
  const loop = { kind: 'open', rate, arrivals: 'poisson', connections: 100, seed: 1 } as const;
  const options = {
    endpoint: { port: 1 },
    requests: [Buffer.from('x')],
    loop,
    warmupSeconds: 0,
    maxRequests: 0,
    timeoutMs: 5000,
    honoursRetryAfter: false,
  };
  const recording = generate(options, {}, clock, server.connect);
  clock.run();
  const result = { ...summarize(await recording, loop), samples: { 500: HOSTILE } };
  return {
    url: 'http://localhost:8080/predict?x=<b>',
    title: HOSTILE,
    model: { name: HOSTILE, version: '1' },
    warmUp: 0,
    threads: 1,
    at: '2026-01-01T00:00:00.000Z',
    loop,
    result,
    server: { stages: [{ name: 'run of the model', mean: 1, p50: 1, p99: 2 }], servingCores: 0.5, engineCores: 0.25 },
    verdicts: judge(
      [
        { figure: 'p99', limit: 50 },
        { figure: 'errors', limit: 0.001 },
      ],
      result,
    ),
    ...more,
  };
}

test('the HTML report has no script, no handler and no other file, and its policy allows its own style alone', async () => {
  const html = htmlReport(await makeReport());
  assert.doesNotMatch(html, /<script|\son\w+=|javascript:|<iframe|@import|url\(/i);
  assert.doesNotMatch(html, /\b(src|href)="(?!data:,)/);
  const [, style] = /<style>(.*)<\/style>/s.exec(html)!;
  const hash = createHash('sha256').update(style!).digest('base64');
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)![1]!.replaceAll('&#39;', "'");
  assert.equal(
    policy,
    `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'`,
  );
  assert.doesNotMatch(html, /style="/);
});

test('it has the histogram, the throughput, the phases, the stages, the errors and the objectives', async () => {
  const html = htmlReport(await makeReport());
  const titles = Array.from(html.matchAll(/<h2>(.*?)<\/h2>/g), ([, title]) => title);
  assert.deepEqual(titles, [
    'Objectives',
    'Requests',
    'Latency',
    'Throughput',
    'Phases',
    'Stages of the server',
    'Errors',
    'CPU',
  ]);
  assert.ok(html.match(/<rect class="bar"/g)!.length > 3);
  assert.equal(html.match(/<polyline/g)!.length, 2);
  assert.match(html, /status 500<\/td><td>62<\/td><td>9\.9 %/);
  assert.doesNotMatch(html, /NaN|undefined|Infinity/);
});

test('a search has its trials in the report, in the order of their rates', async () => {
  const { result, verdicts } = await makeReport();
  const trial = (rate: number, met: boolean) => ({ rate, met, isGeneratorsLimit: false, result, verdicts });
  const trials = [trial(100, true), trial(200, false), trial(150, true)];
  const capacity = { rate: 150, best: trials[2]!, trials, ended: 'precise' } as const;
  const report = await makeReport({ capacity });
  assert.match(htmlReport(report), /150 requests per second<\/p>/);
  const lines = textReport(report, PLAIN);
  assert.deepEqual(
    lines.flatMap((line) => /^ +(\d+) .*(met|missed)$/.exec(line)?.[1] ?? []),
    ['100', '150', '200'],
  );
  const none = { ...capacity, rate: undefined };
  assert.ok(
    textReport({ ...report, capacity: none }, PLAIN).some((line) => line.includes('no rate meets p99 ≤ 50.0 ms')),
  );
});

test('texts of a server reach a terminal without control characters', async () => {
  const text = textReport(await makeReport(), PLAIN).join('\n');
  assert.ok(!text.includes('\u001b'));
  assert.match(text, /status 500 .*\\u001b\[2J/);
});

test('the reader is warned of a late generator, of few requests, and of connections that were all in use', async () => {
  const report = await makeReport();
  const result = {
    ...report.result,
    requests: 50,
    waited: 7,
    generator: { cores: 1, lateP50: 5, lateP99: 80, kept: false },
  };
  const lines = textReport({ ...report, result, server: undefined }, PLAIN).filter((line) => line.startsWith('!'));
  assert.deepEqual(
    [
      'little more than their maximum',
      'did not keep its schedule: 1 %',
      'was busy all the time',
      '7 requests waited for one of the 100 connections',
      'the stages and the CPU of the server are not known',
    ].map((part, i) => lines[i]?.includes(part)),
    [true, true, true, true, true],
    lines.join('\n'),
  );
  assert.deepEqual(
    textReport(report, PLAIN).filter((line) => line.startsWith('!')),
    [],
  );
});
