/** Events as AWS publishes or captures show them. Each names in a comment where its shape comes from. */

const envelope = (detailType: string, detail: object, more: object = {}) => ({
  version: '0',
  id: '5089ddb8-2ab5-4739-7323-8519741f53d7',
  'detail-type': detailType,
  source: 'aws.glue',
  account: '123456789012',
  time: '2026-04-25T15:40:07Z',
  region: 'eu-west-1',
  resources: ['arn:aws:glue:eu-west-1:123456789012:table/sales/orders'],
  detail,
  ...more,
});

const DATABASE = 'Glue Data Catalog Database State Change';
const TABLE = 'Glue Data Catalog Table State Change';

/** A capture: create and drop come under the database, with a list of names. */
export const createTable = envelope(DATABASE, {
  databaseName: 'sales',
  typeOfChange: 'CreateTable',
  changedTables: ['orders'],
});

export const deleteTable = envelope(DATABASE, {
  databaseName: 'sales',
  typeOfChange: 'DeleteTable',
  changedTables: ['orders'],
});

/** A capture: a commit comes under the table. */
export const updateTable = envelope(TABLE, {
  databaseName: 'sales',
  tableName: 'orders',
  typeOfChange: 'UpdateTable',
  changedPartitions: [],
});

/** The older catalogue of AWS's events has UpdateTable under the database. */
export const updateUnderDatabase = envelope(DATABASE, {
  databaseName: 'sales',
  typeOfChange: 'UpdateTable',
  changedTables: ['orders'],
});

/** Consumers have seen both members, and neither. */
export const updateWithBoth = envelope(TABLE, {
  databaseName: 'sales',
  tableName: 'orders',
  changedTables: ['orders', 'returns'],
  typeOfChange: 'UpdateTable',
});

/** The Glue guide's own sample names a database in the ARN of a table's event. */
export const updateWithOddArn = envelope(
  TABLE,
  { databaseName: 'sales', tableName: 'orders', typeOfChange: 'UpdateTable', changedPartitions: [] },
  { resources: ['arn:aws:glue:eu-west-1:123456789012:database/default/foo'] },
);

export const batchDelete = envelope(DATABASE, {
  databaseName: 'sales',
  typeOfChange: 'BatchDeleteTable',
  changedTables: Array.from({ length: 100 }, (_, i) => `t${i}`),
});

/** A capture: no table is named, and the resource is the database. */
export const createDatabase = envelope(
  DATABASE,
  { databaseName: 'sales', typeOfChange: 'CreateDatabase', changedTables: [] },
  { resources: ['arn:aws:glue:eu-west-1:123456789012:database/sales'] },
);

export const deleteDatabase = envelope(
  DATABASE,
  { databaseName: 'sales', typeOfChange: 'DeleteDatabase', changedTables: [] },
  { resources: ['arn:aws:glue:eu-west-1:123456789012:database/sales'] },
);

/** AWS's samples write partitions in three ways. */
export const partitions = ['2018,01', '[C.pdf, dir3]', '[3, 2020-10-05 00:00:00, 1601921790685]'].map((partition) =>
  envelope(TABLE, {
    databaseName: 'sales',
    tableName: 'events',
    typeOfChange: 'BatchCreatePartition',
    changedPartitions: [partition],
  }),
);

/** The guide's sample; all values are text, and one key has a space. */
export const crawler = envelope(
  'Glue Crawler State Change',
  {
    accountId: '123456789012',
    crawlerName: 'iceberg',
    state: 'Succeeded',
    completionDate: '2026-04-25T15:40:07Z',
    'runningTime (sec)': '7',
    tablesCreated: '1',
    tablesUpdated: '0',
    tablesDeleted: '0',
  },
  { resources: [] },
);

const call = (eventName: string, requestParameters: unknown, more: object = {}) =>
  envelope(
    'AWS API Call via CloudTrail',
    {
      eventVersion: '1.11',
      eventTime: '2026-04-25T15:41:12Z',
      eventSource: 'glue.amazonaws.com',
      eventName,
      awsRegion: 'eu-west-1',
      userIdentity: { type: 'AssumedRole', accountId: '123456789012' },
      requestParameters,
      responseElements: null,
      eventID: '2617428d-715f-edef-70b8-d210da0317a0',
      readOnly: false,
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: '123456789012',
      eventCategory: 'Management',
      ...more,
    },
    { resources: [] },
  );

/** Put together of the API's model and CloudTrail's attested way to write its members. */
export const trail = {
  update: call('UpdateTable', {
    catalogId: '123456789012',
    databaseName: 'sales',
    skipArchive: true,
    versionId: '41',
    tableInput: {
      name: 'orders',
      tableType: 'EXTERNAL_TABLE',
      parameters: { table_type: 'ICEBERG', metadata_location: 's3://lake/42.metadata.json' },
    },
  }),
  create: call('CreateTable', { databaseName: 'sales', tableInput: { name: 'orders' } }),
  /** A published record. */
  delete: call('DeleteTable', { catalogId: '123456789012', databaseName: 'sales', name: 'orders' }),
  batchDelete: call('BatchDeleteTable', { databaseName: 'sales', tablesToDelete: ['orders', 'returns'] }),
  deleteDatabase: call('DeleteDatabase', { name: 'sales' }),
  createDatabase: call('CreateDatabase', { databaseInput: { name: 'sales' } }),
  failed: call(
    'UpdateTable',
    { databaseName: 'sales', tableInput: { name: 'orders' } },
    { errorCode: 'ConcurrentModificationException', errorMessage: 'Update table failed' },
  ),
  /** Parameters of more than 100 KB are cut. */
  cut: call('UpdateTable', null),
  optimizer: call('UpdateTableOptimizer', { databaseName: 'sales', tableName: 'orders' }),
  /** Of a grant: Lake Formation has no events but CloudTrail's. */
  grant: call('GrantPermissions', {}, { eventSource: 'lakeformation.amazonaws.com' }),
  ofAnotherCatalog: call('UpdateTable', {
    catalogId: '123456789012:s3tablescatalog/bucket',
    databaseName: 'sales',
    tableInput: { name: 'orders' },
  }),
} as const;

/** As SNS delivers it to a queue without raw delivery; fauxqs adds a null subject and empty attributes, AWS doesn't. */
export const inSns = (event: object, more: object = {}) => ({
  Type: 'Notification',
  MessageId: '22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324',
  TopicArn: 'arn:aws:sns:eu-west-1:123456789012:glue',
  Message: JSON.stringify(event),
  Timestamp: '2026-04-25T15:40:08.000Z',
  SignatureVersion: '1',
  Signature: 'EXAMPLE',
  SigningCertURL: 'https://sns.eu-west-1.amazonaws.com/SimpleNotificationService.pem',
  UnsubscribeURL: 'https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe',
  ...more,
});

/** A record of SQS, as Lambda and pipes hand it over. */
export const record = (body: string) => ({
  messageId: '059f36b4-87a3-44ab-83d2-661975830a7d',
  receiptHandle: 'AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a',
  body,
  attributes: { ApproximateReceiveCount: '1', SentTimestamp: '1545082649183' },
  messageAttributes: {},
  md5OfBody: 'e4e68fb7bd0e697a0ae8f1bb342846b3',
  eventSource: 'aws:sqs',
  eventSourceARN: 'arn:aws:sqs:eu-west-1:123456789012:polaris-push',
  awsRegion: 'eu-west-1',
});
