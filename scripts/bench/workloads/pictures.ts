import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HEALTH } from '../convolution-race.ts';
import { differences } from '../media/agreement.ts';
import { writePictureModel } from '../media/picture-model.ts';
import { raceServers, raceTable } from '../race.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import { judgeAgainst, judgeProduct, NOT_BUILT, PRODUCT, present, type Workload } from '../workload.ts';

const NAME = 'pictures';
const EXACT = 'plain node, the same pixels';
const SHARP = 'plain node, resized by sharp';
const OVER_EXACT: Bar = { want: 'at least', limit: 1.5, unit: 'x', of: `rate / ${EXACT}` };
const OVER_SHARP: Bar = { want: 'at least', limit: 1.5, unit: 'x', of: `rate / ${SHARP}` };
const AGREE: Bar = { want: 'at most', limit: 1, unit: '', of: `difference of an answer to ${EXACT}, in 0.0001` };

const logitsOf = (answer: unknown): readonly number[] =>
  ((answer as { outputs: { logits: number[] } }).outputs.logits as number[]).flat();

export const pictures: Workload = {
  name: NAME,
  title: 'a JPEG of 1500 x 1000 to 224 x 224 and a small ResNet, 8 connections',
  bars: [OVER_EXACT, OVER_SHARP, HEALTH, AGREE],
  async run(bench) {
    const temp = mkdtempSync(join(tmpdir(), 'bench-pictures-'));
    process.on('exit', () => rmSync(temp, { recursive: true, force: true }));
    const input = await writePictureModel(join(temp, 'resnet'));
    const plain = (name: string, form: string) => bench.baseline(name, 'plain-picture', input, ['--pixels', form]);
    const servers = present([plain(EXACT, 'exact'), bench.product(input), plain(SHARP, 'sharp')]);
    const apart = (await differences(servers, input, [new Uint8Array(readFileSync(input.body))], logitsOf)).get(
      PRODUCT,
    );
    const shape = { connections: 8, seconds: bench.quick ? 2 : 6, probeHealth: true };
    const race = await raceServers(servers, input, shape, bench.rounds);
    console.log(raceTable(race, EXACT));
    return [
      judgeAgainst(NAME, OVER_EXACT, race, EXACT, ({ rate }) => rate),
      judgeAgainst(NAME, OVER_SHARP, race, SHARP, ({ rate }) => rate),
      judgeProduct(NAME, HEALTH, race, ({ health }) =>
        health === undefined || health.errors > 0 ? Number.NaN : health.p99,
      ),
      apart === undefined ? unmeasured(NAME, AGREE, NOT_BUILT) : judge(NAME, AGREE, spread([apart / 1e-4])),
    ];
  },
};
