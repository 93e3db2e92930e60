import type { Evictable } from '../memory-budget.ts';
import type { Telemetry } from '../serving/generation.ts';
import type { Model } from '../serving/model.ts';

/** A model as the memory budget sees it, which evicts it when another needs its memory. @param label its name in the log. */
export function evictableOf(model: Model, label: string, { logger, metrics }: Telemetry): Evictable {
  return {
    lastUsed: () => model.live()?.lastUsed() ?? 0,
    idle: () => !model.refreshing() && (model.live()?.idle() ?? false),
    async evict() {
      metrics.unloaded();
      logger.info('unloaded to make room for another model', { model: label });
      await model.unload();
    },
  };
}
