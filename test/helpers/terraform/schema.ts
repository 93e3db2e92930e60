/** An attribute: its type as Terraform writes it, and whether it must be given, or comes from the provider alone. */
export type Attribute = `${Type}${'' | ', required' | ', computed'}`;
export type Type = 'bool' | 'number' | 'string' | 'list(number)' | 'list(string)' | 'map(string)';

/** A block: of a resource, or inside another. */
export interface Block {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly blocks: Readonly<Record<string, NestedBlock>>;
}
interface NestedBlock extends Block {
  /** How many there may be: `timeouts` is an object, and no list. */
  readonly nesting: 'one' | 'many' | 'object';
  readonly required: boolean;
}

/** The resources of a provider that the module uses. */
export interface ProviderSchema {
  /** The package that it was read from. */
  readonly package: string;
  /** Name and version. */
  readonly provider: string;
  readonly resources: Readonly<Record<string, Block>>;
}
