import type { Finding } from './finding.ts';
import type { Node } from './node.ts';

/** What an annotation may stand on: the service, or its revisions, which come from spec.template. */
export type Bearer = 'Service' | 'Revision';

/** From the description of ObjectMeta.annotations in the Cloud Run Admin API v1 (@googleapis/run has it). */
export const IN_API: Readonly<Record<Bearer, readonly string[]>> = {
  Service: [
    'run.googleapis.com/base-images',
    'run.googleapis.com/binary-authorization',
    'run.googleapis.com/binary-authorization-breakglass',
    'run.googleapis.com/build-base-image',
    'run.googleapis.com/build-enable-automatic-updates',
    'run.googleapis.com/build-environment-variables',
    'run.googleapis.com/build-function-target',
    'run.googleapis.com/build-id',
    'run.googleapis.com/build-image-uri',
    'run.googleapis.com/build-name',
    'run.googleapis.com/build-service-account',
    'run.googleapis.com/build-source-location',
    'run.googleapis.com/build-worker-pool',
    'run.googleapis.com/client-name',
    'run.googleapis.com/custom-audiences',
    'run.googleapis.com/default-url-disabled',
    'run.googleapis.com/description',
    'run.googleapis.com/gc-traffic-tags',
    'run.googleapis.com/ingress',
    'run.googleapis.com/invoker-iam-disabled',
    'run.googleapis.com/launch-stage',
    'run.googleapis.com/manualInstanceCount',
    'run.googleapis.com/maxScale',
    'run.googleapis.com/minScale',
    'run.googleapis.com/scalingMode',
  ],
  Revision: [
    'autoscaling.knative.dev/maxScale',
    'autoscaling.knative.dev/minScale',
    'run.googleapis.com/base-images',
    'run.googleapis.com/build-function-target',
    'run.googleapis.com/build-id',
    'run.googleapis.com/build-source-location',
    'run.googleapis.com/client-name',
    'run.googleapis.com/cloudsql-instances',
    'run.googleapis.com/container-dependencies',
    'run.googleapis.com/cpu-throttling',
    'run.googleapis.com/encryption-key',
    'run.googleapis.com/encryption-key-shutdown-hours',
    'run.googleapis.com/execution-environment',
    'run.googleapis.com/gpu-zonal-redundancy-disabled',
    'run.googleapis.com/health-check-disabled',
    'run.googleapis.com/network-interfaces',
    'run.googleapis.com/post-key-revocation-action-type',
    'run.googleapis.com/secrets',
    'run.googleapis.com/secure-session-agent',
    'run.googleapis.com/sessionAffinity',
    'run.googleapis.com/startup-cpu-boost',
    'run.googleapis.com/vpc-access-connector',
    'run.googleapis.com/vpc-access-egress',
  ],
};

/** From https://docs.cloud.google.com/run/docs/reference/yaml/v1 only. */
const IN_REFERENCE: Readonly<Record<Bearer, readonly string[]>> = {
  Service: ['run.googleapis.com/iap-enabled', 'run.googleapis.com/function-target'],
  Revision: ['run.googleapis.com/scaling-cpu-target', 'run.googleapis.com/scaling-concurrency-target'],
};

/** Cloud Run refuses names of its own that it does not know; all others are left to their owners. */
export function findUnknownAnnotations(annotations: Node, bearer: Bearer): Finding[] {
  const known = new Set([...IN_API[bearer], ...IN_REFERENCE[bearer]]);
  const other: Bearer = bearer === 'Service' ? 'Revision' : 'Service';
  return annotations.entries.flatMap(([name, node]) => {
    if (!/^(run\.googleapis\.com|autoscaling\.knative\.dev)\//.test(name) || known.has(name)) return [];
    const place = IN_API[other].includes(name) ? `: it belongs to the ${other.toLowerCase()}` : '';
    return [node.finding(`no annotation that Cloud Run knows on a ${bearer.toLowerCase()}${place}`)];
  });
}
