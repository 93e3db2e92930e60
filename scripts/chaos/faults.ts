import type { Fault } from './fault.ts';
import { cyclingModels } from './faults/cycling-models.ts';
import { killEngines } from './faults/kill-engines.ts';
import { leavingClients } from './faults/leaving-clients.ts';
import { manyConnections } from './faults/many-connections.ts';
import { overload } from './faults/overload.ts';
import { poisonedRow } from './faults/poisoned-row.ts';
import { stoppedEngine } from './faults/stopped-engine.ts';
import { streamBesideSingles } from './faults/stream-beside-singles.ts';

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
];
