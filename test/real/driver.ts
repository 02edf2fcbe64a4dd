import { join } from 'node:path';
import type { Assembly } from './assembly.ts';
import { Child, until } from './child.ts';
import { JVM_OPENS } from './metastore.ts';
import type { Jdk } from './toolchain.ts';

/** One request to driver/Driver.java, which names the commands and their fields. */
export type Request = { readonly command: string; readonly [field: string]: unknown };

/** A table as Iceberg's HiveCatalog lists and loads it. */
export type SourceTable = {
  /** `namespace.name` */
  readonly table: string;
  readonly metadataLocation: string;
  readonly tableUuid: string;
  readonly snapshotId: string | null;
  readonly columns: number;
};

type Answer = { readonly ok: true; readonly result: unknown } | { readonly ok: false; readonly error: string };

/** Iceberg's HiveCatalog and Hive's Thrift client in a Java process; one request at a time. */
export class Driver implements AsyncDisposable {
  readonly #child: Child;
  #answers: string[] = [];

  private constructor(child: (onLine: (line: string) => void) => Child) {
    this.#child = child((line) => this.#answers.push(line));
  }

  static async start(options: {
    readonly assembly: Assembly;
    readonly jdk: Jdk;
    /** Of the metastore: `thrift://host:port`. */
    readonly uri: string;
    readonly warehouse: string;
    readonly folder: string;
  }): Promise<Driver> {
    const driver = new Driver(
      (onLine) =>
        new Child({
          program: join(options.jdk.home, 'bin', 'java'),
          args: [
            '-Xmx384m',
            ...JVM_OPENS,
            '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
            '-cp',
            options.assembly.classPath,
            'polarispush.driver.Driver',
            options.uri,
            options.warehouse,
          ],
          logFile: join(options.folder, 'driver.log'),
          cwd: options.folder,
          onLine,
        }),
    );
    try {
      await driver.#next();
    } catch (error) {
      await driver[Symbol.asyncDispose]();
      throw error;
    }
    return driver;
  }

  /** Resolves with the command's result; throws with the Java exception's text where the metastore refused it. */
  async run(request: Request): Promise<unknown> {
    this.#child.write(JSON.stringify(request));
    const answer = JSON.parse(await this.#next()) as Answer;
    if (!answer.ok) throw new Error(answer.error);
    return answer.result;
  }

  async tables(): Promise<readonly SourceTable[]> {
    return (await this.run({ command: 'list' })) as readonly SourceTable[];
  }

  tail(): string {
    return this.#child.tail();
  }

  async #next(): Promise<string> {
    await until(
      'the driver answers',
      () => {
        if (!this.#child.alive) throw new Error(`The driver ended by itself.\n${this.#child.tail()}`);
        return this.#answers.length > 0;
      },
      { timeoutMs: 120_000, everyMs: 5 },
    );
    return this.#answers.shift() ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop('SIGKILL');
  }
}
