import type { StartAttack } from './attack.ts';
import { attackByHostileJson } from './faults/hostile-json.ts';
import { attackByIdleReaders } from './faults/idle-readers.ts';
import { attackEngines } from './faults/kill-engines.ts';
import { attackByLargeBodies } from './faults/large-bodies.ts';
import { attackByLeaving } from './faults/leaving-clients.ts';
import { attackByOverload } from './faults/overload.ts';
import { attackBySlowSenders } from './faults/slow-senders.ts';
import { attackBySmuggling } from './faults/smuggling.ts';
import { attackByHanging } from './faults/stopped-engine.ts';
import { attackByStreams } from './faults/stream-beside-singles.ts';

/** The faults that can go on while others happen. */
export const ATTACKS: Readonly<Record<string, StartAttack>> = {
  overload: attackByOverload,
  'leaving-clients': attackByLeaving,
  'kill-engines': attackEngines,
  'a run that does not end': attackByHanging,
  streams: attackByStreams,
  'slow-senders': attackBySlowSenders,
  'idle-readers': attackByIdleReaders,
  'large-bodies': attackByLargeBodies,
  'hostile-json': attackByHostileJson,
  smuggling: attackBySmuggling,
};
