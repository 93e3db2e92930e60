import { describe } from 'node:test';
import type { HostKind } from '../helpers/hosts.ts';
import { access } from './contract/access.ts';
import { anyRank } from './contract/any-rank.ts';
import { batchPredict } from './contract/batch-predict.ts';
import { company } from './contract/batching-isolation.ts';
import { codings } from './contract/coding.ts';
import { deadlines } from './contract/deadlines.ts';
import { engines } from './contract/engines.ts';
import { failures } from './contract/failures.ts';
import { latency } from './contract/latency.ts';
import { openInference } from './contract/open-inference.ts';
import { openInferenceCompany } from './contract/open-inference-batching.ts';
import { openInferenceLife } from './contract/open-inference-life.ts';
import { openInferenceValues } from './contract/open-inference-values.ts';
import { openApi } from './contract/openapi.ts';
import { predicting } from './contract/predicting.ts';
import { queue } from './contract/queue.ts';
import { tables } from './contract/tables.ts';
import { tensorFlowServing } from './contract/tensorflow-serving.ts';
import { tritonClients } from './contract/triton-clients.ts';
import { values } from './contract/values.ts';
import { versionNumbers } from './contract/version-numbers.ts';
import { vertex } from './contract/vertex.ts';

/** What both hosts promise, each promise asked of a server in a process of its own, over sockets. */
export function contract(kind: HostKind): void {
  // More than one at a time, as most of a part's time is a server's start or a deadline.
  describe(`the contract, on the ${kind} host`, { concurrency: 3 }, () => {
    for (const part of [deadlines, engines, queue, values, predicting, failures, batchPredict]) part(kind);
    for (const part of [tables, company, anyRank, tritonClients, latency, versionNumbers]) part(kind);
    for (const part of [openInference, openInferenceValues, openInferenceCompany, openInferenceLife]) part(kind);
    for (const part of [tensorFlowServing, vertex, openApi, codings, access]) part(kind);
  });
}
