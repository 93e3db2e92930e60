import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { differences } from '../media/agreement.ts';
import { makeTexts, textInput, writeTextModel } from '../media/text-model.ts';
import { raceServers, raceTable } from '../race.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import { judgeAgainst, NOT_BUILT, PRODUCT, present, type Workload } from '../workload.ts';

const NAME = 'text';
const PLAIN_TEXT = 'plain node, tokenizers';
const OVER_PLAIN: Bar = { want: 'at least', limit: 2, unit: 'x', of: `rate / ${PLAIN_TEXT}` };
const OVER_FASTAPI: Bar = { want: 'at least', limit: 2, unit: 'x', of: 'rate / FastAPI, tokenizers, onnxruntime' };
const AGREE: Bar = { want: 'at most', limit: 1, unit: '', of: `difference of an answer to ${PLAIN_TEXT}, in 0.0001` };
const NO_PYTHON = 'Python has no tokenizers and onnxruntime here';

export const text: Workload = {
  name: NAME,
  title: 'sentence embeddings, 6 layers, 384 wide, texts of 3 to 400 tokens, one a request, 32 connections',
  bars: [OVER_PLAIN, OVER_FASTAPI, AGREE],
  async run(bench) {
    const temp = mkdtempSync(join(tmpdir(), 'bench-text-'));
    process.on('exit', () => rmSync(temp, { recursive: true, force: true }));
    const folder = join(temp, 'encoder');
    writeTextModel(folder);
    const texts = makeTexts();
    const input = textInput(folder, texts);
    const servers = present([bench.baseline(PLAIN_TEXT, 'plain-text', input), bench.product(input)]);
    const bodies = texts.map((inputs) => JSON.stringify({ inputs }));
    const apart = (await differences(servers, input, bodies, (answer) => (answer as number[][])[0]!)).get(PRODUCT);
    const race = await raceServers(servers, input, { connections: 32, seconds: bench.quick ? 3 : 8 }, bench.rounds);
    console.log(raceTable(race, PLAIN_TEXT));
    return [
      judgeAgainst(NAME, OVER_PLAIN, race, PLAIN_TEXT, ({ rate }) => rate),
      unmeasured(NAME, OVER_FASTAPI, NO_PYTHON),
      apart === undefined ? unmeasured(NAME, AGREE, NOT_BUILT) : judge(NAME, AGREE, spread([apart / 1e-4])),
    ];
  },
};
