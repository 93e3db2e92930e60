import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mode } from '../../../functions/cli/quantize/mode.ts';
import { createDynamicMode } from '../../../functions/cli/quantize/modes/dynamic/dynamic.ts';
import { createFloat16Mode } from '../../../functions/cli/quantize/modes/float16/float16.ts';
import { createWeightsMode } from '../../../functions/cli/quantize/modes/weights.ts';
import { ServingError } from '../../../functions/errors.ts';
import { createRandom } from '../../../scripts/fuzz/random.ts';
import { GRAPHS } from '../../helpers/graphs/index.ts';
import { createQuantizer, open } from '../../helpers/quantize/quantize.ts';

const quantize = createQuantizer('graphs-');

/** Modes, and how many of the graphs have something that each changes, at least. */
const MODES: readonly (readonly [Mode, number])[] = [
  [createDynamicMode({ isPerChannel: true, isReduced: false }), 120],
  [createWeightsMode({ bits: 4, blockSize: 16, isSymmetric: false }), 10],
  [createFloat16Mode({ keepsIo: true }), 250],
];
/** Operators that onnxruntime does not have: the graphs do not load themselves. */
const FOREIGN = /EfficientNMS_TRT|custom domain|onnxruntime-extensions|GreedySearch/;

for (const [mode, least] of MODES) {
  test(`${mode.name}: every graph of an exporter that is not refused with a reason loads, and runs`, async () => {
    let changed = 0;
    for (const { name, model, feeds } of GRAPHS) {
      if (FOREIGN.test(name)) continue;
      try {
        const { path } = await quantize(model(), mode);
        const session = await open(path);
        await session.run(feeds(createRandom(1), 1).map((tensor, slot) => ({ ...tensor, slot })));
        changed++;
      } catch (error) {
        const isReason = error instanceof ServingError && error.code === 'INVALID_INPUT';
        assert.ok(isReason, `${name}: ${(error as Error).message}`);
      }
    }
    assert.ok(changed >= least, `${changed} of ${GRAPHS.length} graphs were changed`);
  });
}
