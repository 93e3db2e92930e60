import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { startContestant } from '../contestant.ts';
import { makeTexts, textInput, writeTextModel } from '../media/text-model.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import { NOT_BUILT, type Workload } from '../workload.ts';

const NAME = 'text-start';
const LATER: Bar = { want: 'at most', limit: 150, unit: 'ms', of: 'time - time of the same model without a tokenizer' };

export const textStart: Workload = {
  name: NAME,
  title: 'from exec to the first answer, an encoder with a tokenizer of 30 522 tokens and without',
  bars: [LATER],
  async run(bench) {
    const temp = mkdtempSync(join(tmpdir(), 'bench-text-start-'));
    process.on('exit', () => rmSync(temp, { recursive: true, force: true }));
    const [texts, ids] = [join(temp, 'texts'), join(temp, 'ids')];
    writeTextModel(texts);
    writeTextModel(ids, false);
    const input = textInput(texts, makeTexts());
    const features = Object.fromEntries(
      ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => [name, [1, 1, 1]]),
    );
    const forms = [
      { name: 'texts', spec: bench.product(input), request: input.request },
      {
        name: 'token ids',
        spec: bench.product({ ...input, folder: ids }),
        request: requestBytes('POST', '/predict', JSON.stringify({ features })),
      },
    ];
    const times: number[][] = forms.map(() => []);
    const starts = bench.quick ? 3 : Math.max(7, bench.rounds);
    // The first start of each reads its files from the disk; the ones that count find them in memory.
    for (let i = -1; i < starts; i += 1) {
      for (const [form, { spec, request }] of forms.entries()) {
        if (spec === undefined) return [unmeasured(NAME, LATER, NOT_BUILT)];
        const contestant = await startContestant(spec, request);
        if (i >= 0) times[form]!.push(contestant.startMs);
        await contestant.stop();
      }
    }
    const rows = forms.map(({ name }, form) => {
      const { median, min, max } = spread(times[form]!);
      return [name, figure(median), figure(min), figure(max)];
    });
    console.log(table(['input', 'median ms', 'least', 'most'], rows));
    return [judge(NAME, LATER, spread(times[0]!.map((ms, i) => ms - times[1]![i]!)))];
  },
};
