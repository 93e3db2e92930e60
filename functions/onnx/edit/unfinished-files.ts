import { rmSync } from 'node:fs';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Removes files whatever ends the process: its own exit, or a signal. A signal that nothing else listens to ends the process as it would
 * without this.
 * @returns removes the files that still have these names, and stops watching
 */
export function removeUnfinished(paths: readonly string[]): () => void {
  const remove = (): void => {
    for (const path of paths) rmSync(path, { force: true });
  };
  function onSignal(signal: NodeJS.Signals): void {
    remove();
    if (process.listenerCount(signal) > 1) return;
    process.off(signal, onSignal);
    process.kill(process.pid, signal);
  }
  process.once('exit', remove);
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    process.off('exit', remove);
    for (const signal of SIGNALS) process.off(signal, onSignal);
    remove();
  };
}
