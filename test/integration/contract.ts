import { describe } from 'node:test';
import { type HostKind, useHost } from '../helpers/hosts.ts';
import { access } from './contract/access.ts';
import { company } from './contract/batching-isolation.ts';
import { codings } from './contract/coding.ts';
import { deadlines } from './contract/deadlines.ts';
import { engines } from './contract/engines.ts';
import { failures } from './contract/failures.ts';
import { latency } from './contract/latency.ts';
import { openInference } from './contract/open-inference.ts';
import { openInferenceCompany } from './contract/open-inference-batching.ts';
import { openInferenceLife, repositoryWithoutToken } from './contract/open-inference-life.ts';
import { openInferenceValues } from './contract/open-inference-values.ts';
import { irisDocument, openApi } from './contract/openapi.ts';
import { predicting } from './contract/predicting.ts';
import { queue } from './contract/queue.ts';
import { severalModels } from './contract/several-models.ts';
import { tensorFlowServing } from './contract/tensorflow-serving.ts';
import { textDialects } from './contract/text-dialects.ts';
import { tritonClients } from './contract/triton-clients.ts';
import { versionNumbers } from './contract/version-numbers.ts';
import { vertex } from './contract/vertex.ts';

/** What both hosts promise, each promise asked of a server in a process of its own, over sockets. */
export function contract(kind: HostKind): void {
  // More than one at a time, as most of a part's time is a server's start or a deadline.
  describe(`the contract, on the ${kind} host`, { concurrency: 3 }, () => {
    for (const part of [deadlines, engines, queue, severalModels, company, tritonClients, versionNumbers]) part(kind);
    for (const part of [openInferenceValues, openInferenceCompany, openInferenceLife]) part(kind);
    for (const part of [tensorFlowServing, vertex, openApi]) part(kind);
    // Its issuer listens on this machine's loopback, which a container does not reach.
    if (kind !== 'image') {
      access(kind);
      textDialects(kind);
    }

    // One server for parts that its state does not disturb: they compare its counts before and after.
    describe('the bundled model', { concurrency: 1 }, () => {
      const host = useHost(kind, () => ({ INFERENCE_PROCESSES: '1', AIP_PREDICT_ROUTE: '/vertex' }));
      for (const part of [predicting, latency, codings, irisDocument, repositoryWithoutToken]) part(host);
    });
    describe('the bundled model, with a limit for bodies', { concurrency: 1 }, () => {
      const host = useHost(kind, () => ({ INFERENCE_PROCESSES: '1', MAX_BODY_BYTES: '4096' }));
      for (const part of [openInference, failures]) part(host, kind);
    });
  });
}
