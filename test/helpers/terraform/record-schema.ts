/**
 * `node test/helpers/terraform/record-schema.ts FOLDER`: writes google-schema.json, the schema of the resources that deploy/terraform/
 * uses, from the types that the CDK for Terraform generates of the provider. FOLDER is the unpacked package:
 *   npm pack @cdktf/provider-google && tar -xzf cdktf-provider-google-*.tgz    # FOLDER is package/
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attribute, Block, ProviderSchema, Type } from './schema.ts';

const MODULE = join(import.meta.dirname, '../../../deploy/terraform');
const TYPES: Readonly<Record<string, Type>> = {
  string: 'string',
  number: 'number',
  boolean: 'bool',
  'string[]': 'list(string)',
  'number[]': 'list(number)',
  '{ [key: string]: string; }': 'map(string)',
};
const GETTERS: Readonly<Record<string, Type>> = {
  String: 'string',
  Number: 'number',
  Boolean: 'bool',
  List: 'list(string)',
  StringMap: 'map(string)',
};

function readResource(folder: string, type: string): Block {
  const name = type.replace(/^google_/, '').replaceAll('_', '-');
  const read = (file: string): string => readFileSync(join(folder, 'lib', name, file), 'utf8');
  const types = read('index.d.ts');
  const [, config] = /^export interface (\w+Config) extends cdktf\.TerraformMetaArguments/m.exec(types) ?? [];
  if (config === undefined) throw new Error(`${name}: found no type of its arguments`);
  const block = readInterface(types, config);
  const [, own = ''] = /^class \w+ extends cdktf\.TerraformResource(.*)/ms.exec(read('index.js')) ?? [];
  const computed = Array.from(
    own.matchAll(/^ {4}\/\/ (\w+) - computed: true.*\n.*\n {8}return this\.get(\w+)Attribute\(/gm),
    ([, attribute, getter]): [string, Attribute][] =>
      GETTERS[getter!] === undefined ? [] : [[attribute!, `${GETTERS[getter!]!}, computed`]],
  ).flat();
  return { ...block, attributes: { ...block.attributes, ...Object.fromEntries(computed) } };
}

/** The fields of an interface: each has a comment with its name in Terraform. */
function readInterface(types: string, name: string): Block {
  const [, body] = new RegExp(`^export interface ${name} (?:extends \\S+ )?\\{\n(.*?)^\\}`, 'ms').exec(types) ?? [];
  if (body === undefined) throw new Error(`found no interface ${name}`);
  const attributes: Record<string, Attribute> = {};
  const blocks: Record<string, Block['blocks'][string]> = {};
  for (const [, field, optional, text] of body.matchAll(
    /#(\w+) \w+#\w+\}(?:(?!readonly).)*?readonly \w+(\??): (.*?);\n(?= {4}\/|\s*$)/gs,
  )) {
    const plain = text!
      .replace(/ \| cdktf\.IResolvable/g, '')
      .replaceAll(/\s+/g, ' ')
      .replace(/^\((.*)\)\[\]$/, '$1[]');
    const type = TYPES[plain.replace(/^Array<(.*)>$/, '$1[]')];
    if (type !== undefined) attributes[field!] = optional === '' ? `${type}, required` : type;
    else if (/^[A-Z]\w+(\[\])?$/.test(plain)) {
      const nesting = field === 'timeouts' ? 'object' : plain.endsWith('[]') ? 'many' : 'one';
      blocks[field!] = { nesting, required: optional === '', ...readInterface(types, plain.replace('[]', '')) };
    } else throw new Error(`${name}.${field}: the type ${plain} is not known`);
  }
  return { attributes, blocks };
}

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: node test/helpers/terraform/record-schema.ts FOLDER');
const { name, version, cdktf } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
const texts = globSync('*.tf', { cwd: MODULE }).map((file) => readFileSync(join(MODULE, file), 'utf8'));
const used = new Set(texts.flatMap((text) => Array.from(text.matchAll(/^resource "(\w+)"/gm), ([, type]) => type!)));
const schema: ProviderSchema = {
  package: `${name} ${version}`,
  provider: `${cdktf.provider.name} ${cdktf.provider.version}`,
  resources: Object.fromEntries([...used].sort().map((type) => [type, readResource(folder, type)])),
};
writeFileSync(join(import.meta.dirname, 'google-schema.json'), `${JSON.stringify(schema, undefined, 2)}\n`);
