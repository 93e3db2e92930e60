import type { Finding } from './finding.ts';
import { findModel } from './models.ts';
import type { Node } from './node.ts';
import { findTypeErrors, type TypedNode } from './type-check.ts';

const CLOUD_RUN = "import('@googleapis/run').run_v1.Schema$Service";
const CLOUD_BUILD = "import('@googleapis/cloudbuild').cloudbuild_v1.Schema$Build";
/** Managed Prometheus publishes only a CustomResourceDefinition, for which no package has types. */
const WITHOUT_SCHEMA = 'monitoring.googleapis.com/v1';
/** Kinds that kustomize reads, and refuses if they have an unknown field. */
const KUSTOMIZE = /^(kustomize\.config\.k8s\.io\/|builtin$)/;

/**
 * Checks objects by the schemas of their kinds, and finds unknown fields.
 * @param whole whether an object must have all required fields; others are patches.
 */
export async function checkSchemas(documents: readonly Node[], whole: (document: Node) => boolean): Promise<Finding[]> {
  const findings: Finding[] = [];
  const typed: TypedNode[] = [];
  for (const node of documents) {
    const apiVersion = node.at('apiVersion').text;
    const kind = node.at('kind').text;
    if (node.at('steps').given && apiVersion === undefined) typed.push({ node, type: CLOUD_BUILD, fieldsOnly: false });
    if (apiVersion === undefined || kind === undefined || apiVersion === WITHOUT_SCHEMA) continue;
    if (KUSTOMIZE.test(apiVersion)) continue;
    if (apiVersion.startsWith('serving.knative.dev/')) typed.push({ node, type: CLOUD_RUN, fieldsOnly: false });
    else {
      const model = await findModel(apiVersion, kind);
      if (model === undefined) {
        findings.push(node.at('kind').finding(`${apiVersion} ${kind}: there is no schema of it here`));
        continue;
      }
      if (whole(node)) findings.push(...model.validate(node));
      typed.push({ node, type: model.type, fieldsOnly: true });
    }
  }
  return [...findings, ...findTypeErrors(typed)];
}
