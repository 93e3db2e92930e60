import { serveFrames } from '../../engine/process/frame-loop.ts';

await serveFrames(async () => {
  throw new Error('not built');
});
