import type { Lock } from './packages.ts';
import { nameOf } from './packages.ts';

/** The property in which npm, too, stores a package's folder; by the taxonomy of CycloneDX. */
const PATH = 'cdx:npm:package:path';

interface Component {
  readonly type: string;
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: readonly object[];
  readonly hashes?: readonly object[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** A software bill of materials: https://cyclonedx.org/docs/1.6/json/ */
export interface Bom {
  readonly $schema: string;
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: string;
  readonly version: number;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** A component that is no package of npm. */
interface OtherComponent {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly license: string;
}

/**
 * The bill of the packages in these folders of the lock file. It has neither a time nor a serial number: the same packages give the
 * same bytes.
 * @throws Error if a folder is not in the lock file.
 */
export function createBom(lock: Lock, folders: readonly string[], others: readonly OtherComponent[] = []): Bom {
  const { name, version, license } = lock[''] as { name: string; version: string; license: string };
  const project = component(name, version, license, { purl: npmUrl(name, version), type: 'application' });
  const byReference = Map.groupBy([...new Set(folders)].sort(), (folder) => referenceOf(lock, folder));
  const packages = Array.from(byReference.values(), (same) => {
    const { version = '', license, integrity } = lock[same[0]!]!;
    const hash = integrity?.startsWith('sha512-') === true ? hexOf(integrity.slice(7)) : undefined;
    return {
      ...component(nameOf(same[0]!), version, license, { purl: npmUrl(nameOf(same[0]!), version) }),
      ...(hash !== undefined && { hashes: [{ alg: 'SHA-512', content: hash }] }),
      properties: same.map((value) => ({ name: PATH, value })),
    };
  });
  const components = [...packages, ...others.map((one) => component(one.name, one.version, one.license, one))];
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: project },
    components,
    dependencies: [{ ref: project['bom-ref'], dependsOn: components.map((one) => one['bom-ref']) }],
  };
}

/** The folders of the packages of a bill. */
export function foldersOf({ components }: Bom): string[] {
  return components.flatMap(({ properties = [] }) =>
    properties.filter(({ name }) => name === PATH).map(({ value }) => value),
  );
}

function referenceOf(lock: Lock, folder: string): string {
  const version = lock[folder]?.version;
  if (version === undefined) throw new Error(`${folder} is not in package-lock.json: run npm ci, then npm run build`);
  return `${nameOf(folder)}@${version}`;
}

function component(
  name: string,
  version: string,
  license: string | undefined,
  { purl, type = 'library' }: { readonly purl: string; readonly type?: string },
): Component {
  const licenses = license === undefined ? undefined : [licenceOf(license)];
  return { type, 'bom-ref': `${name}@${version}`, name, version, purl, ...(licenses !== undefined && { licenses }) };
}

const licenceOf = (text: string): object => (/^\(|\s/.test(text) ? { expression: text } : { license: { id: text } });

/** https://github.com/package-url/purl-spec: the @ of a scope is escaped, the slash behind it is not. */
const npmUrl = (name: string, version: string): string => `pkg:npm/${name.replace('@', '%40')}@${version}`;

const hexOf = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');
