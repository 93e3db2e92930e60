import type { Tenant } from '../memory-budget.ts';
import type { Telemetry } from '../serving/generation.ts';
import type { Model } from '../serving/model.ts';

/** A model as one that is let go of where its memory is wanted for another. @param label what the log calls it. */
export function tenantOf(model: Model, label: string, { logger, metrics }: Telemetry): Tenant {
  return {
    lastUsed: () => model.live()?.lastUsed() ?? 0,
    idle: () => !model.refreshing() && (model.live()?.idle() ?? false),
    async unload() {
      metrics.unloaded();
      logger.info('unloaded: its memory is wanted for another model', { model: label });
      await model.unload();
    },
  };
}
