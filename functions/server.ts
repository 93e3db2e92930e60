/** The container's server, on plain `node:http`: Cloud Run, GKE, Vertex AI, `npm start`. */
import { prespawn } from './engine/process/spawn.ts';

// Before large libraries are imported: the engine process loads onnxruntime while this process loads them.
prespawn();

const { main } = await import('./container.ts');
main();
