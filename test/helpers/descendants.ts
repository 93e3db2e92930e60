import { processTree } from '../../scripts/process-tree.ts';

export { isAlive, kill } from '../../scripts/process-tree.ts';

/** All processes below `root`, parents first. */
export const descendants = (root: number): number[] => processTree(root).slice(1);
