import { isShell, processTree } from '../../scripts/process-tree.ts';

export { isAlive, kill } from '../../scripts/process-tree.ts';

/** All processes below `root`, parents first, without the shell that guards the engine processes. */
export const descendants = (root: number): number[] =>
  processTree(root)
    .slice(1)
    .filter((pid) => !isShell(pid));
