import type { Fault } from './fault.ts';
import { cyclingModels } from './faults/cycling-models.ts';
import { fullDisk } from './faults/full-disk.ts';
import { hostileJson } from './faults/hostile-json.ts';
import { idleReaders } from './faults/idle-readers.ts';
import { killEngines } from './faults/kill-engines.ts';
import { largeBodies } from './faults/large-bodies.ts';
import { leavingClients } from './faults/leaving-clients.ts';
import { lostDependencies } from './faults/lost-dependencies.ts';
import { manyConnections } from './faults/many-connections.ts';
import { overload } from './faults/overload.ts';
import { poisonedRow } from './faults/poisoned-row.ts';
import { slowSenders } from './faults/slow-senders.ts';
import { smuggling } from './faults/smuggling.ts';
import { stoppedEngine } from './faults/stopped-engine.ts';
import { streamBesideSingles } from './faults/stream-beside-singles.ts';
import { shutdown } from './shutdown.ts';
import { soak } from './soak.ts';

/** All faults, in the order of the table. */
export const FAULTS: readonly Fault[] = [
  overload,
  leavingClients,
  manyConnections,
  cyclingModels,
  streamBesideSingles,
  killEngines,
  stoppedEngine,
  poisonedRow,
  slowSenders,
  idleReaders,
  largeBodies,
  hostileJson,
  smuggling,
  lostDependencies,
  fullDisk,
  shutdown,
  soak,
];
