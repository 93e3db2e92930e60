import { describe } from 'node:test';
import { booting } from './loading/boot.ts';
import { coldStarts } from './loading/cold-start.ts';
import { listFaults } from './loading/list-faults.ts';
import { localCopies } from './loading/local-copy.ts';
import { peopleFiles } from './loading/local-files.ts';
import { mediaFaults } from './loading/media-faults.ts';
import { memory } from './loading/memory.ts';
import { namedModels } from './loading/named-models.ts';
import { onRequests } from './loading/on-requests.ts';
import { progress } from './loading/progress.ts';
import { refusedSwaps } from './loading/refused-swap.ts';
import { swapping } from './loading/swap.ts';
import { tokenizerSwaps } from './loading/tokenizer-swap.ts';

/** Of all of them: an answer that never comes fails the test that waits for it, on a machine that is busy with others too. */
const LONGEST_MS = 1_200_000;

// The longest first: a few parts at once keep two CPUs busy, and what is timed has room.
describe('models of a bucket', { concurrency: 3, timeout: LONGEST_MS }, () => {
  for (const part of [listFaults, mediaFaults, refusedSwaps, swapping, booting, localCopies]) part();
  for (const part of [onRequests, coldStarts, namedModels, peopleFiles, progress, memory, tokenizerSwaps]) part();
});
