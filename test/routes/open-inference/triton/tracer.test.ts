import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTracer } from '../../../../functions/routes/open-inference/triton/tracer.ts';
import { recordTelemetry } from '../../../helpers/telemetry.ts';

const ON = { trace_level: ['TIMESTAMPS'], trace_rate: '1' };
const TRACED = { model: 'm', version: '1', requestId: 'r' };

test('nothing is traced before somebody asks for it', () => {
  const tracer = createTracer(recordTelemetry().logger);
  assert.equal(tracer.start('m'), undefined);
});

test('one request in trace_rate is traced, until trace_count of them are', () => {
  const tracer = createTracer(recordTelemetry().logger);
  tracer.change(undefined, { trace_level: ['TIMESTAMPS'], trace_rate: '3', trace_count: '2' });
  const traced = Array.from({ length: 12 }, () => tracer.start('m') !== undefined);
  assert.deepEqual(
    traced.flatMap((is, i) => (is ? [i] : [])),
    [2, 5],
  );
  assert.equal((tracer.show(undefined) as { trace_count: string }).trace_count, '0');
});

test('settings of one model go before those of all, and one that is taken back is that of all again', () => {
  const tracer = createTracer(recordTelemetry().logger);
  tracer.change('a', ON);
  assert.ok(tracer.start('a'));
  assert.equal(tracer.start('b'), undefined);
  tracer.change(undefined, ON);
  assert.ok(tracer.start('b'));
  tracer.change('a', { trace_level: ['OFF'] });
  assert.equal(tracer.start('a'), undefined);
  tracer.change('a', { trace_level: null });
  assert.ok(tracer.start('a'));
});

test('a trace is one line of the log, with the times of its request', () => {
  const { logger, lines } = recordTelemetry();
  const tracer = createTracer(logger);
  tracer.change(undefined, ON);
  const trace = tracer.start('m')!;
  trace.mark('REQUEST_START', 1.5);
  trace.mark('REQUEST_END', 2);
  trace.end(TRACED);
  const timestamps = [
    { name: 'REQUEST_START', ns: 1_500_000 },
    { name: 'REQUEST_END', ns: 2_000_000 },
  ];
  assert.deepEqual(lines, [{ level: 'info', message: 'trace of a request', fields: { ...TRACED, timestamps } }]);
});

test('a change that cannot be made changes nothing', () => {
  const tracer = createTracer(recordTelemetry().logger);
  const before = tracer.show(undefined);
  for (const [body, code] of [
    [{ ...ON, trace_count: '-2' }, 'INVALID_INPUT'],
    [{ ...ON, trace_rate: '0' }, 'INVALID_INPUT'],
    [{ ...ON, trace_rate: 'often' }, 'INVALID_INPUT'],
    [{ ...ON, log_frequency: 1.5 }, 'INVALID_INPUT'],
    [{ trace_level: ['OFF', 'TIMESTAMPS'] }, 'INVALID_INPUT'],
    [{ trace_level: ['TENSORS'] }, 'UNSUPPORTED'],
    [{ ...ON, trace_file: '/etc/passwd' }, 'UNSUPPORTED'],
  ] as const) {
    assert.throws(() => tracer.change(undefined, body as never), { code }, JSON.stringify(body));
    assert.deepEqual(tracer.show(undefined), before);
  }
});
