/** The container's server, on plain `node:http`: Cloud Run, GKE, Vertex AI. `start.ts` runs its bundle. */
import { prespawn } from './engine/process/spawn.ts';

// Before large libraries are imported: the engine process loads onnxruntime while this process loads them.
prespawn();

void import('./container.ts').then(({ main }) => main());
