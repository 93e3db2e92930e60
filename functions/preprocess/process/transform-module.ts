import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { basename, dirname, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Postprocess, Preprocess } from '../../transform.ts';

/** What a model's `transform.ts` exports: one of them at least. */
export interface TransformModule {
  readonly preprocess: Preprocess | undefined;
  readonly postprocess: Postprocess | undefined;
}

/** The name under which authors import the types and `InvalidInput`. A model's folder has no packages. */
const PUBLISHED = 'onnx-cloud-run/transform';
const isSource = import.meta.url.endsWith('.ts');
const OWN = new URL(isSource ? '../../transform.ts' : './transform.js', import.meta.url).href;

/**
 * Imports a model's `transform.ts` or `transform.js` as it is: Node strips the types.
 * @throws Error that begins with the file and the line: for what is no JavaScript after that, for an import that is not found, for an
 * error of the code itself, and if it exports neither function
 */
export async function importTransform(path: string): Promise<TransformModule> {
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === PUBLISHED ? { url: OWN, shortCircuit: true } : next(specifier, context),
  });
  let exported: Record<string, unknown>;
  try {
    exported = await import(pathToFileURL(path).href);
  } catch (error) {
    throw new Error(describeFault(locate(error, path), dirname(path)), { cause: error });
  }
  const preprocess = functionOf(exported, 'preprocess', path) as Preprocess | undefined;
  const postprocess = functionOf(exported, 'postprocess', path) as Postprocess | undefined;
  if (preprocess === undefined && postprocess === undefined) {
    throw new Error(
      `${basename(path)}: expected it to export the function preprocess, postprocess or both, got neither`,
    );
  }
  return { preprocess, postprocess };
}

function functionOf(exported: Record<string, unknown>, name: string, path: string): unknown {
  const value = exported[name];
  if (value === undefined || typeof value === 'function') return value;
  throw new Error(`${basename(path)}: expected ${name} to be a function, got ${value === null ? null : typeof value}`);
}

/** The error with its place: V8 does not give that of a syntax error in JavaScript, the parser of types does. */
function locate(error: unknown, path: string): unknown {
  if (!(error instanceof SyntaxError) || placeIn(error.stack, dirname(path)) !== undefined) return error;
  try {
    stripTypeScriptTypes(readFileSync(path, 'utf8'), { sourceUrl: path });
  } catch (located) {
    return located;
  }
  return error;
}

/**
 * Describes an error for the operator: `transform.ts:3: TypeError: …`.
 * @param folder of the model: the place is the first of its files in the stack
 */
export function describeFault(error: unknown, folder: string): string {
  if (!(error instanceof Error)) return `it threw ${typeof error === 'string' ? JSON.stringify(error) : String(error)}`;
  const place = placeIn(error.stack, folder);
  const hint = error.message.includes('strip-only mode')
    ? ': compile it to transform.js, or write it without (erasableSyntaxOnly of tsc)'
    : '';
  return `${place === undefined ? '' : `${place}: `}${error.name}: ${error.message}${hint}`;
}

function placeIn(stack: string | undefined, folder: string): string | undefined {
  for (const line of (stack ?? '').split('\n')) {
    const [, text, number] = /((?:file:\/\/)?\/[^()]*?\.[mc]?[jt]s):(\d+)/.exec(line) ?? [];
    if (text === undefined) continue;
    const path = text.startsWith('file://') ? fileURLToPath(text) : text;
    if (path.startsWith(`${folder}/`)) return `${relative(folder, path)}:${number}`;
  }
  return undefined;
}
