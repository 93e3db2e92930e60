import type { Finding, Path } from './finding.ts';
import type { Node } from './node.ts';

/** The type and the schema of a kind of object. */
export interface Model {
  /** Its TypeScript type, for the check of unknown fields. */
  readonly type: string;
  validate(object: Node): Finding[];
}

/** The packages of kubernetes-models with classes for the kinds of Kubernetes, GKE and the Gateway API, generated from their schemas. */
const PACKAGES = ['kubernetes-models', '@kubernetes-models/gke', '@kubernetes-models/gateway-api'];

interface ModelClass {
  readonly kind?: string;
  new (data: unknown): { validate(): void };
}

interface SchemaError {
  readonly instancePath: string;
  readonly message?: string;
  readonly params?: { readonly allowedValues?: readonly unknown[] };
}

/** @returns undefined for a kind without a schema. */
export async function findModel(apiVersion: string, kind: string): Promise<Model | undefined> {
  for (const name of PACKAGES) {
    const path = `${name}/${apiVersion}/${kind}`;
    const model = (await importOrNot(path))?.[kind] as ModelClass | undefined;
    // Parts of objects have classes too, and those have no kind.
    if (model?.kind !== kind) continue;
    return { type: `import('${path}').I${kind}`, validate: (object) => validateBy(model, object) };
  }
  return undefined;
}

async function importOrNot(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    return (await import(path)) as Record<string, unknown>;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') return undefined;
    throw error;
  }
}

function validateBy(model: ModelClass, object: Node): Finding[] {
  try {
    new model(object.value).validate();
    return [];
  } catch (error) {
    const { errors } = error as { errors?: readonly SchemaError[] };
    if (errors === undefined) throw error;
    return errors.map(({ instancePath, message = 'is not valid', params }) => {
      const node = object.at(...readPointer(instancePath, object));
      const allowed = params?.allowedValues;
      return node.finding(allowed === undefined ? message : `${message}: ${allowed.join(', ')}`);
    });
  }
}

/** A JSON pointer, as keys of the object. */
function readPointer(pointer: string, object: Node): Path {
  const keys: (string | number)[] = [];
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    keys.push(Array.isArray(object.at(...keys).value) ? Number(key) : key);
  }
  return keys;
}
