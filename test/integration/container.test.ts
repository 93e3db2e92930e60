import { describe } from 'node:test';
import { attacks } from './container/attacks.ts';
import { engineFaults } from './container/engine-faults.ts';
import { idling } from './container/idle.ts';
import { leaving } from './container/leaving.ts';
import { manyConnections } from './container/many-connections.ts';
import { mappedFiles } from './container/mapped-files.ts';
import { ports } from './container/ports.ts';
import { shuttingDown } from './container/shutdown.ts';
import { starting } from './container/starting.ts';
import { uncaught } from './container/uncaught.ts';
import { wire } from './container/wire.ts';
import { contract } from './contract.ts';

contract('container');

describe('the container host alone', { concurrency: 3 }, () => {
  for (const part of [wire, shuttingDown, idling, leaving, starting, ports, uncaught, manyConnections, attacks]) part();
  engineFaults();
  mappedFiles();
});
