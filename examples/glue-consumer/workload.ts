import { setTimeout as sleep } from 'node:timers/promises';
import type { GlueStub } from '../../test/fixtures/glue-stub.ts';
import type { GlueWriter } from '../../test/fixtures/glue-writer.ts';

/** Everything that engines and people do to a Glue Data Catalog, once. Uses the databases `sales`, `finance` and `staging`. */
export class GlueWorkload {
  operations = 0;
  readonly #writer: GlueWriter;
  readonly #stub: GlueStub;
  readonly #say: (line: string) => void;

  constructor(writer: GlueWriter, stub: GlueStub, say: (line: string) => void) {
    this.#writer = writer;
    this.#stub = stub;
    this.#say = say;
  }

  /** `between` is called between the parts, and may throw to end it. */
  async run(between: () => void): Promise<void> {
    const parts: readonly (() => string | Promise<string>)[] = [
      () => this.#create(),
      () => this.#commit(),
      () => this.#rename(),
      () => this.#drop(),
      () => this.#others(),
      () => this.#burst(),
      () => this.#database(),
    ];
    for (const part of parts) {
      this.#say(await part());
      between();
      // Engines pause, too; without this the agent would see most of it as one burst.
      await sleep(300);
    }
  }

  #do<T>(operation: () => T): T {
    this.operations += 1;
    return operation();
  }

  #create(): string {
    const writer = this.#writer;
    for (const name of ['sales', 'finance', 'staging']) this.#do(() => writer.createDatabase(name));
    for (let i = 1; i <= 8; i++) {
      this.#do(() => writer.create('sales', `orders_${i}`));
      this.#do(() => writer.create('finance', `prices_${i}`));
      this.#do(() => writer.create('staging', `load_${i}`));
    }
    return '3 databases with 24 Iceberg tables';
  }

  async #commit(): Promise<string> {
    for (let round = 0; round < 10; round++) {
      for (let i = 1; i <= 8; i++) this.#do(() => this.#writer.commit('sales', `orders_${i}`));
      await sleep(30);
    }
    return '80 commits';
  }

  #rename(): string {
    const writer = this.#writer;
    this.#do(() => writer.rename(['sales', 'orders_1'], ['sales', 'orders_archive']));
    this.#do(() => writer.rename(['finance', 'prices_1'], ['sales', 'prices']));
    this.#do(() => writer.renameInVain(['finance', 'prices_2'], ['finance', 'prices_new']));
    return 'renames: within a database, into another one, and one that was undone';
  }

  #drop(): string {
    const writer = this.#writer;
    this.#do(() => writer.drop('sales', 'orders_2'));
    this.#do(() => writer.drop('sales', 'orders_3'));
    this.#do(() => writer.create('sales', 'orders_3'));
    this.#do(() => writer.dropMany('finance', ['prices_3', 'prices_4', 'not_there']));
    return 'drops: one, several at once, one that was created again at once';
  }

  #others(): string {
    const writer = this.#writer;
    this.#do(() => writer.createHive('sales', 'raw_events'));
    this.#do(() => writer.createView('sales', 'orders_view'));
    this.#do(() => writer.createView('sales', 'orders_summary', { materialized: true }));
    const finish = this.#do(() => writer.createInTwoSteps('finance', 'in_two_steps'));
    this.#do(finish);
    const before = this.#stub.truth().get('sales.orders_4') ?? '';
    this.#do(() => writer.commit('sales', 'orders_4'));
    this.#do(() => writer.point('sales', 'orders_4', before));
    return 'a Hive table, views, a table that came in two steps, a pointer that was moved back';
  }

  #burst(): string {
    for (let i = 0; i < 150; i++) this.#do(() => this.#writer.commit('sales', 'orders_5'));
    return '150 commits to one table as fast as they go';
  }

  #database(): string {
    this.#do(() => this.#writer.dropDatabase('staging'));
    return 'a database of 8 tables deleted by one call';
  }
}
