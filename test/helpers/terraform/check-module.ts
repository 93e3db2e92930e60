import { createRequire } from 'node:module';
import type { Block, ProviderSchema } from './schema.ts';

// Not imported: its types would add those of a browser to every file.
const { parse } = createRequire(import.meta.url)('@cdktn/hcl2json') as {
  parse(filename: string, contents: string): Promise<Record<string, unknown>>;
};

/** The blocks of a module as HCL's own parser has them: a block is a list of objects, an expression a text in `${}`. */
export interface Module {
  readonly variable: Readonly<Record<string, readonly Body[]>>;
  readonly locals: readonly Body[];
  readonly output: Readonly<Record<string, readonly Body[]>>;
  readonly resource: Readonly<Record<string, Readonly<Record<string, readonly Body[]>>>>;
  readonly terraform: readonly Body[];
}
export type Body = Readonly<Record<string, unknown>>;

/** What Terraform itself takes in every resource. */
const META = new Set(['count', 'for_each', 'lifecycle', 'depends_on', 'provider']);
const REFERENCE =
  /(?<![\w.-])(var|local|google_[a-z0-9_]+)\.([A-Za-z_]\w*)(?:\[(?:"[^"]*"|[^[\]]*)\])?(?:\.([A-Za-z_]\w*))?/g;

/** @param files the texts of the module's `.tf` files by name. @throws Error where one is not HCL. */
export async function parseModule(files: ReadonlyMap<string, string>): Promise<Module> {
  const module = { variable: {}, locals: [], output: {}, resource: {}, terraform: [] } as Record<string, object>;
  for (const [name, text] of files) {
    for (const [kind, value] of Object.entries(await parse(name, text))) {
      if (Array.isArray(value)) module[kind] = [...(module[kind] as unknown[]), ...value];
      else
        for (const [label, inner] of Object.entries(value as Body)) {
          const known = (module[kind] as Record<string, object>)[label];
          (module[kind] as Record<string, object>)[label] =
            kind === 'resource' ? { ...known, ...(inner as Body) } : (inner as object);
        }
    }
  }
  return module as unknown as Module;
}

/** What is wrong with a module: arguments that the provider does not have, or wants; references to nothing; what nothing refers to. */
export function checkModule(module: Module, { resources }: ProviderSchema): string[] {
  const found: string[] = [];
  for (const [type, all] of Object.entries(module.resource)) {
    const schema = resources[type];
    if (schema === undefined) found.push(`${type}: not in the schema`);
    else for (const [name, [body]] of Object.entries(all)) checkBody(body!, schema, `${type}.${name}`, found);
  }
  const locals = Object.assign({}, ...module.locals) as Body;
  const used = new Set<string>();
  for (const text of texts(module)) {
    for (const [whole, kind, name, attribute] of text.matchAll(REFERENCE)) {
      used.add(`${kind}.${name}`);
      if (kind === 'var' && !(name! in module.variable)) found.push(`${whole}: no such variable`);
      if (kind === 'local' && !(name! in locals)) found.push(`${whole}: no such local`);
      if (kind === 'var' || kind === 'local') continue;
      if (module.resource[kind!]?.[name!] === undefined) found.push(`${whole}: no such resource`);
      else if (attribute !== undefined && !hasField(resources[kind!], attribute))
        found.push(`${whole}: ${kind} has no ${attribute}`);
    }
  }
  for (const name of Object.keys(module.variable))
    if (!used.has(`var.${name}`)) found.push(`var.${name}: nothing uses it`);
  for (const name of Object.keys(locals)) if (!used.has(`local.${name}`)) found.push(`local.${name}: nothing uses it`);
  return found;
}

const hasField = (schema: Block | undefined, name: string): boolean =>
  schema !== undefined && (name in schema.attributes || name in schema.blocks);

function checkBody(body: Body, schema: Block, place: string, found: string[]): void {
  const { dynamic = {}, ...own } = body as { dynamic?: Record<string, { content: Body[] }[]> };
  const inner = new Map<string, Body[]>();
  for (const [name, value] of Object.entries(own)) {
    if (META.has(name)) continue;
    if (name in schema.blocks && Array.isArray(value)) inner.set(name, value);
    else if (!(name in schema.attributes)) found.push(`${place}.${name}: the provider has no such argument`);
    else if (schema.attributes[name]!.endsWith('computed')) found.push(`${place}.${name}: is given by the provider`);
  }
  for (const [name, all] of Object.entries(dynamic))
    inner.set(name, [...(inner.get(name) ?? []), ...all.flatMap(({ content }) => content)]);
  for (const [name, bodies] of inner) {
    const block = schema.blocks[name];
    if (block === undefined) found.push(`${place}.${name}: the provider has no such block`);
    else for (const one of bodies) checkBody(one, block, `${place}.${name}`, found);
  }
  const required = [
    ...Object.entries(schema.attributes).filter(([, attribute]) => attribute.endsWith('required')),
    ...Object.entries(schema.blocks).filter(([, block]) => block.required),
  ];
  for (const [name] of required)
    if (!(name in own) && !inner.has(name)) found.push(`${place}.${name}: the provider wants it`);
}

/** Every text of a value. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
}
