import { HEALTH, RUN_LOOP, raceConvolution } from '../convolution-race.ts';
import type { Bar } from '../summary.ts';
import type { Workload } from '../workload.ts';

const NAME = 'conv-image';
const OVER_LOOP: Bar = { want: 'at least', limit: 0.75, unit: 'x', of: `rate / ${RUN_LOOP}` };

export const convImage: Workload = {
  name: NAME,
  title: 'convolution net, about 50 ms a run on one thread, [3,224,224] in JSON rows, 4 connections',
  bars: [OVER_LOOP, HEALTH],
  run: (bench) => raceConvolution(bench, NAME, bench.inputs.models[NAME], OVER_LOOP),
};
