import * as z from 'zod';
import type { Model } from '../models.ts';

// PodMonitoring of Google Cloud Managed Service for Prometheus, monitoring.googleapis.com/v1, after its CustomResourceDefinition:
// https://github.com/GoogleCloudPlatform/prometheus-engine/blob/00f28d4e96f7a84a8ec11e0cd054bbe5752ba6a5/charts/operator/crds/monitoring.googleapis.com_podmonitorings.yaml
// Without credentials, TLS and a proxy for the scrape, which this server does not take.

const duration = z.string().regex(/^(\d+(ms|[smhdwy]))+$/, 'expected a duration of Prometheus, like 30s');
const labelName = z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'expected the name of a label');
const labels = z.record(z.string(), z.string());

const relabeling = z.strictObject({
  action: z
    .enum([
      'replace',
      'lowercase',
      'uppercase',
      'keep',
      'drop',
      'keepequal',
      'dropequal',
      'hashmod',
      'labeldrop',
      'labelkeep',
    ])
    .optional(),
  modulus: z.int().optional(),
  regex: z.string().max(10_000).optional(),
  replacement: z.string().optional(),
  separator: z.string().optional(),
  sourceLabels: z.array(labelName).max(100).optional(),
  targetLabel: labelName.optional(),
});

const endpoint = z.strictObject({
  interval: duration,
  metricRelabeling: z.array(relabeling).max(250).optional(),
  params: z.record(z.string(), z.array(z.string())).optional(),
  path: z.string().optional(),
  port: z.union([z.int().positive(), z.string().min(1).max(253)]),
  scheme: z.enum(['http', 'https']).optional(),
  timeout: duration.optional(),
});

const selector = z.strictObject({
  matchExpressions: z
    .array(z.strictObject({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() }))
    .optional(),
  matchLabels: labels.optional(),
});

const targetLabels = z.strictObject({
  fromPod: z
    .array(z.strictObject({ from: z.string(), to: labelName.optional() }))
    .max(100)
    .optional(),
  metadata: z
    .array(z.enum(['container', 'node', 'pod', 'top_level_controller_name', 'top_level_controller_type']))
    .optional(),
});

const limits = z.strictObject({
  labelNameLength: z.int().optional(),
  labelValueLength: z.int().optional(),
  labels: z.int().optional(),
  samples: z.int().optional(),
});

const schema = z.strictObject({
  apiVersion: z.literal('monitoring.googleapis.com/v1'),
  kind: z.literal('PodMonitoring'),
  metadata: z.strictObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: labels.optional(),
    annotations: labels.optional(),
  }),
  spec: z.strictObject({
    endpoints: z.array(endpoint).min(1).max(10),
    filterRunning: z.boolean().optional(),
    limits: limits.optional(),
    selector,
    targetLabels: targetLabels.optional(),
  }),
});

export const podMonitoring: Model = {
  type: undefined,
  validate(object) {
    const parsed = schema.safeParse(object.value);
    if (parsed.success) return [];
    return parsed.error.issues.map(({ path, message }) => object.at(...(path as (string | number)[])).finding(message));
  },
};
