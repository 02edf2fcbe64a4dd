import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, type CollectionTag, type ScalarTag } from 'yaml';
import glue from '../../../connectors/glue/index.ts';
import { reconcileHandler, sqsHandler } from '../../../connectors/glue/lambda.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { Secrets } from '../../../src/runtime/secrets.ts';

const FOLDER = new URL('../../../examples/glue-consumer/', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, FOLDER), 'utf8');

/** A function of CloudFormation, such as `!Sub text`, as `{ Sub: text }`. */
const scalarTag = (name: string): ScalarTag => ({ tag: `!${name}`, resolve: (text: string) => ({ [name]: text }) });
const sequenceTag = (name: string): CollectionTag => ({
  tag: `!${name}`,
  collection: 'seq',
  resolve: (items) => ({ [name]: (items as { toJSON(): unknown }).toJSON() }),
});
const TAGS = [
  ...['Sub', 'Ref', 'GetAtt', 'Condition'].map(scalarTag),
  ...['Equals', 'Join', 'And', 'Not', 'If'].map(sequenceTag),
];

type Resource = { readonly Type: string; readonly Properties: Record<string, unknown> };
const { Resources: resources } = parse(read('template.yaml'), { customTags: TAGS, logLevel: 'error' }) as {
  Resources: Record<string, Resource>;
};
const of = (name: string) => resources[name]!.Properties;

describe('The template', () => {
  test('gives both functions the same configuration, which is valid', async () => {
    const variables = ['Function', 'ReconcileFunction'].map(
      (name) => (of(name)['Environment'] as { Variables: Record<string, { Sub: string }> }).Variables,
    );
    expect(variables[0]).toEqual(variables[1]);
    const text = variables[0]!['POLARIS_PUSH_CONFIG']!.Sub.replaceAll(
      /\$\{(!?)([^}]+)\}/g,
      (_, literal, name: string) => (literal === '!' ? `\${${name}}` : (PARAMETERS[name] ?? `no ${name}`)),
    );
    const deps = {
      env: { POLARIS_CLIENT_SECRET: 'secret' },
      connectors: { glue: async () => glue },
      secrets: new Secrets(),
    };
    const { config } = await parseConfig(text, 'template.yaml', deps);
    expect(config.source).toMatchObject({ kind: 'glue', region: 'eu-west-1', databases: ['lake_*'] });
    expect(config).toMatchObject({ targets: [{ catalog: 'glue_mirror' }], drops: { budget: { floor: 20 } } });
  });

  test('calls handlers that exist, and answers to the queue message by message', () => {
    const handlers = Object.keys({ sqsHandler, reconcileHandler });
    expect(['Function', 'ReconcileFunction'].map((name) => of(name)['Handler'])).toEqual(
      handlers.map((handler) => `polaris-push.${handler}`),
    );
    expect(of('FunctionQueue')['FunctionResponseTypes']).toEqual(['ReportBatchItemFailures']);
  });

  test('hides messages for six times as long as the function may run, and gives up after five receives', () => {
    const [, forLambda] = (of('Queue')['VisibilityTimeout'] as { If: number[] }).If;
    expect(forLambda).toBeGreaterThanOrEqual(6 * Number(of('Function')['Timeout']));
    expect((of('Queue')['RedrivePolicy'] as Record<string, unknown>)['maxReceiveCount']).toBeGreaterThanOrEqual(5);
    const [kept, waits] = ['DeadLetterQueue', 'Queue'].map((name) => Number(of(name)['MessageRetentionPeriod']));
    expect(kept).toBeGreaterThan(waits!);
  });

  test('matches both detail-types, and everything that says something of an Iceberg table', () => {
    const pattern = of('Rule')['EventPattern'] as { 'detail-type': string[]; detail: Record<string, unknown> };
    expect(pattern['detail-type']).toEqual([
      'Glue Data Catalog Database State Change',
      'Glue Data Catalog Table State Change',
    ]);
    expect(pattern.detail['typeOfChange']).toEqual([
      'CreateTable',
      'UpdateTable',
      'DeleteTable',
      'BatchDeleteTable',
      'DeleteDatabase',
    ]);
  });

  test('permits exactly the calls that are made', () => {
    const actions = ['ReadCatalogPolicy', 'ConsumeQueuePolicy'].flatMap((name) =>
      (of(name)['PolicyDocument'] as { Statement: { Action: string | string[] }[] }).Statement.flatMap(
        ({ Action }) => Action,
      ),
    );
    expect(actions.toSorted()).toEqual([
      'glue:GetDatabase',
      'glue:GetDatabases',
      'glue:GetTable',
      'glue:GetTables',
      'sqs:ChangeMessageVisibility',
      'sqs:DeleteMessage',
      'sqs:GetQueueAttributes',
      'sqs:ReceiveMessage',
    ]);
  });
});

const PARAMETERS: Readonly<Record<string, string>> = {
  'AWS::Region': 'eu-west-1',
  DatabasePattern: 'lake_*',
  PolarisUri: 'https://polaris.example.com/api/catalog',
  PolarisCatalog: 'glue_mirror',
  PolarisClientId: 'sync_agent',
  MaxDrops: '20',
};
