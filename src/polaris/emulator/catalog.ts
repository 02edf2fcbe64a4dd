import { type TableKey, keyOf } from '../../core/table.ts';
import type { TableIdentifier } from '../../core/types.ts';
import type { Attached, Policy } from './policy.ts';

/** A table as the emulator serves it. Immutable: a commit replaces it, so identity tells whether it changed meanwhile. */
export type ServedTable = {
  readonly metadataLocation: string;
  /** The last admitted notification's; undefined for a registered table. */
  readonly timestamp: bigint | undefined;
  /** `table-uuid` of the metadata file, or of the notification where files aren't read. */
  readonly uuid: string | undefined;
  /** Stays over updates, ends with DROP. */
  readonly entityId: number;
};

export type GenericTable = {
  readonly name: string;
  readonly format: string;
  readonly 'base-location': string | null;
  readonly doc: string | null;
  readonly properties: Readonly<Record<string, string>>;
};

export type StorageType = 'FILE' | 'S3' | 'GCS' | 'AZURE';
export type StorageConfig = {
  readonly storageType: StorageType;
  readonly allowedLocations: readonly string[];
  readonly [key: string]: unknown;
};

/** One level of namespaces with what it holds. A name is held by one of table, view, generic table. */
export class Namespace {
  readonly levels: readonly string[];
  properties: Readonly<Record<string, string>>;
  readonly children = new Map<string, Namespace>();
  readonly tables = new Map<string, ServedTable>();
  /** Metadata locations of views by name. */
  readonly views = new Map<string, string>();
  readonly genericTables = new Map<string, GenericTable>();
  /** Defined here, which says nothing about where they are attached. */
  readonly policies = new Map<string, Policy>();
  /** To this namespace; to the catalog itself when it is the root. */
  readonly attached: Attached = new Map();
  /** To tables of this namespace, by their names. */
  readonly attachedToTables = new Map<string, Attached>();

  constructor(levels: readonly string[], properties: Readonly<Record<string, string>>) {
    this.levels = levels;
    this.properties = properties;
  }

  get isEmpty(): boolean {
    const held = [this.children, this.tables, this.views, this.genericTables, this.policies];
    return held.every((names) => names.size === 0);
  }
}

/** The state of one catalog. Methods change it at once; whatever waits (reading files) happens outside. */
export class Catalog {
  readonly name: string;
  readonly type: 'INTERNAL' | 'EXTERNAL';
  readonly createTimestamp: number;
  lastUpdateTimestamp: number;
  entityVersion = 1;
  properties: Readonly<Record<string, string>>;
  storage: StorageConfig;
  readonly root = new Namespace([], {});
  /** All tables by the JSON of their levels and name. */
  readonly tables = new Map<TableKey, ServedTable>();
  readonly roles = new Map<string, CatalogRole>();
  #entities = 0;

  constructor(spec: {
    name: string;
    type: 'INTERNAL' | 'EXTERNAL';
    properties: Readonly<Record<string, string>>;
    storage: StorageConfig;
    now: number;
  }) {
    this.name = spec.name;
    this.type = spec.type;
    this.properties = spec.properties;
    this.storage = spec.storage;
    this.createTimestamp = spec.now;
    this.lastUpdateTimestamp = spec.now;
  }

  /** Without a trailing slash. */
  get baseLocation(): string {
    return (this.properties['default-base-location'] ?? '').replace(/\/+$/, '');
  }

  namespace(levels: readonly string[]): Namespace | undefined {
    let found: Namespace | undefined = this.root;
    for (const level of levels) found = found?.children.get(level);
    return found;
  }

  table(table: TableIdentifier): ServedTable | undefined {
    return this.namespace(table.namespace)?.tables.get(table.name);
  }

  nextEntityId(): number {
    this.#entities += 1;
    return this.#entities;
  }

  addNamespace(levels: readonly string[], properties: Readonly<Record<string, string>>): Namespace {
    const parent = this.namespace(levels.slice(0, -1));
    const name = levels.at(-1);
    if (parent === undefined || name === undefined) throw new Error('A namespace needs its parent.');
    const namespace = new Namespace(levels, properties);
    parent.children.set(name, namespace);
    return namespace;
  }

  removeNamespace(levels: readonly string[]): void {
    this.namespace(levels.slice(0, -1))?.children.delete(levels.at(-1) ?? '');
  }

  putTable(namespace: Namespace, name: string, served: ServedTable): void {
    namespace.tables.set(name, served);
    this.tables.set(keyOf({ namespace: namespace.levels, name }), served);
  }

  /** With what is attached to it. False when there was none. */
  removeTable(table: TableIdentifier): boolean {
    this.tables.delete(keyOf(table));
    const namespace = this.namespace(table.namespace);
    namespace?.attachedToTables.delete(table.name);
    return namespace?.tables.delete(table.name) ?? false;
  }
}

export type Grant = { readonly type: string; readonly privilege: string; readonly [key: string]: unknown };

export class CatalogRole {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly createTimestamp: number;
  /** By their JSON. */
  readonly grants = new Map<string, Grant>();
  /** Privileges granted on the catalog itself: the only ones that count for notifications. */
  readonly onCatalog = new Set<string>();

  constructor(name: string, properties: Readonly<Record<string, string>>, now: number) {
    this.name = name;
    this.properties = properties;
    this.createTimestamp = now;
  }

  grant(grant: Grant): void {
    this.grants.set(JSON.stringify(grant), grant);
    if (grant.type === 'catalog') this.onCatalog.add(grant.privilege);
  }

  revoke(grant: Grant): void {
    this.grants.delete(JSON.stringify(grant));
    if (grant.type === 'catalog') this.onCatalog.delete(grant.privilege);
  }

  /** Privileges granted on `namespace` or one that contains it. */
  onNamespace(namespace: readonly string[]): string[] {
    return [...this.grants.values()]
      .filter((grant) => grant.type === 'namespace' && isPrefix(grant['namespace'], namespace))
      .map((grant) => grant.privilege);
  }
}

const isPrefix = (prefix: unknown, levels: readonly string[]): boolean =>
  Array.isArray(prefix) && prefix.length <= levels.length && prefix.every((level, i) => level === levels[i]);
