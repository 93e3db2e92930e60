import { HEALTH, RUN_LOOP, raceConvolution } from '../convolution-race.ts';
import type { Bar } from '../summary.ts';
import type { Workload } from '../workload.ts';

const NAME = 'conv-small';
const OVER_LOOP: Bar = { want: 'at least', limit: 0.85, unit: 'x', of: `rate / ${RUN_LOOP}` };

export const convSmall: Workload = {
  name: NAME,
  title: 'convolution net, about 50 ms a run on one thread, a small input, 4 connections',
  bars: [OVER_LOOP, HEALTH],
  run: (bench) => raceConvolution(bench, NAME, bench.inputs.models[NAME], OVER_LOOP),
};
