import { readBytes } from '../compose.ts';
import type { Container } from '../containers.ts';
import type { Finding } from '../finding.ts';
import { readQuantity } from '../quantity.ts';
import type { Rule } from '../scope.ts';

/** Rule: there is a memory limit, by which the server sizes its engines and models, and MODEL_MEMORY_BUDGET is below it. */
export const checkMemory: Rule = ({ containers, built }) =>
  containers.filter(({ ours, init }) => ours && !init).flatMap((container) => checkContainer(container, built));

function checkContainer({ platform, node, env }: Container, built: boolean): Finding[] {
  const compose = platform === 'compose';
  const limits = compose ? node.at('deploy', 'resources', 'limits') : node.at('resources', 'limits');
  const memory = compose && node.at('mem_limit').given ? node.at('mem_limit') : limits.at('memory');
  if (!memory.given && (built || platform === 'cloud-run'))
    return [limits.finding('no memory limit: the server sizes its engines and models by it')];
  if (platform === 'kubernetes' && !built) return [];
  const budget = env.find(({ name }) => name === 'MODEL_MEMORY_BUDGET');
  const most = compose ? readBytes(memory.text) : readQuantity(memory.text);
  if (budget?.value === undefined || most === undefined || Number(budget.value) < most) return [];
  return [budget.node.finding(`MODEL_MEMORY_BUDGET of ${budget.value}, not below the memory limit of ${memory.text}`)];
}
