/** The container's server: Cloud Run, GKE, Vertex AI, `npm start`. Plain `node:http`, with the whole life of a connection in hand. */
import { prespawn } from './engine/spawn.ts';

// Before anything heavy is imported: the engine's onnxruntime loads while this process loads its own libraries.
prespawn();

const { main } = await import('./container.ts');
main();
