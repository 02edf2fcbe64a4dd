-- The tables of a Hive Metastore 4 database that a catalog operation writes to, with the keys and constraints of the
-- real schema (what logical decoding delivers depends on the primary keys). Names are upper case and quoted, as there.

CREATE TABLE "CTLGS" (
  "CTLG_ID" bigint PRIMARY KEY,
  "NAME" varchar(256) UNIQUE,
  "DESC" varchar(4000),
  "LOCATION_URI" varchar(4000) NOT NULL,
  "CREATE_TIME" bigint
);

CREATE TABLE "DBS" (
  "DB_ID" bigint PRIMARY KEY,
  "DESC" varchar(4000),
  "DB_LOCATION_URI" varchar(4000) NOT NULL,
  "NAME" varchar(128),
  "OWNER_NAME" varchar(128),
  "OWNER_TYPE" varchar(10),
  "CTLG_NAME" varchar(256) NOT NULL DEFAULT 'hive',
  "CREATE_TIME" bigint,
  "DB_MANAGED_LOCATION_URI" varchar(4000),
  "TYPE" varchar(32) NOT NULL DEFAULT 'NATIVE',
  "DATACONNECTOR_NAME" varchar(128),
  "REMOTE_DBNAME" varchar(128),
  CONSTRAINT "UNIQUE_DATABASE" UNIQUE ("NAME", "CTLG_NAME"),
  CONSTRAINT "DBS_FK1" FOREIGN KEY ("CTLG_NAME") REFERENCES "CTLGS" ("NAME")
);

CREATE TABLE "DATABASE_PARAMS" (
  "DB_ID" bigint NOT NULL REFERENCES "DBS" ("DB_ID") DEFERRABLE,
  "PARAM_KEY" varchar(180) NOT NULL,
  "PARAM_VALUE" varchar(4000),
  PRIMARY KEY ("DB_ID", "PARAM_KEY")
);

CREATE TABLE "SERDES" (
  "SERDE_ID" bigint PRIMARY KEY,
  "NAME" varchar(128),
  "SLIB" varchar(4000),
  "DESCRIPTION" varchar(4000),
  "SERIALIZER_CLASS" varchar(4000),
  "DESERIALIZER_CLASS" varchar(4000),
  "SERDE_TYPE" integer
);

CREATE TABLE "CDS" ("CD_ID" bigint PRIMARY KEY);

CREATE TABLE "COLUMNS_V2" (
  "CD_ID" bigint NOT NULL REFERENCES "CDS" ("CD_ID") DEFERRABLE,
  "COMMENT" varchar(4000),
  "COLUMN_NAME" varchar(767) NOT NULL,
  "TYPE_NAME" text,
  "INTEGER_IDX" integer NOT NULL,
  PRIMARY KEY ("CD_ID", "COLUMN_NAME")
);

CREATE TABLE "SDS" (
  "SD_ID" bigint PRIMARY KEY,
  "INPUT_FORMAT" varchar(4000),
  "IS_COMPRESSED" boolean NOT NULL,
  "LOCATION" varchar(4000),
  "NUM_BUCKETS" bigint NOT NULL,
  "OUTPUT_FORMAT" varchar(4000),
  "SERDE_ID" bigint REFERENCES "SERDES" ("SERDE_ID") DEFERRABLE,
  "CD_ID" bigint REFERENCES "CDS" ("CD_ID") DEFERRABLE,
  "IS_STOREDASSUBDIRECTORIES" boolean NOT NULL
);
CREATE INDEX "SDS_N49" ON "SDS" ("SERDE_ID");
CREATE INDEX "SDS_N50" ON "SDS" ("CD_ID");

CREATE TABLE "TBLS" (
  "TBL_ID" bigint PRIMARY KEY,
  "CREATE_TIME" bigint NOT NULL,
  "DB_ID" bigint REFERENCES "DBS" ("DB_ID") DEFERRABLE,
  "LAST_ACCESS_TIME" bigint NOT NULL,
  "OWNER" varchar(767),
  "OWNER_TYPE" varchar(10),
  "RETENTION" bigint NOT NULL,
  "SD_ID" bigint REFERENCES "SDS" ("SD_ID") DEFERRABLE,
  "TBL_NAME" varchar(256),
  "TBL_TYPE" varchar(128),
  "VIEW_EXPANDED_TEXT" text,
  "VIEW_ORIGINAL_TEXT" text,
  "IS_REWRITE_ENABLED" boolean NOT NULL DEFAULT false,
  "WRITE_ID" bigint DEFAULT 0,
  CONSTRAINT "UNIQUETABLE" UNIQUE ("TBL_NAME", "DB_ID")
);
CREATE INDEX "TBLS_N49" ON "TBLS" ("DB_ID");
CREATE INDEX "TBLS_N50" ON "TBLS" ("SD_ID");

CREATE TABLE "TABLE_PARAMS" (
  "TBL_ID" bigint NOT NULL REFERENCES "TBLS" ("TBL_ID") DEFERRABLE,
  "PARAM_KEY" varchar(256) NOT NULL,
  "PARAM_VALUE" text,
  PRIMARY KEY ("TBL_ID", "PARAM_KEY")
);
CREATE INDEX "TABLE_PARAMS_N49" ON "TABLE_PARAMS" ("TBL_ID");

CREATE TABLE "NOTIFICATION_LOG" (
  "NL_ID" bigint PRIMARY KEY,
  "EVENT_ID" bigint NOT NULL,
  "EVENT_TIME" integer NOT NULL,
  "EVENT_TYPE" varchar(32) NOT NULL,
  "CAT_NAME" varchar(256),
  "DB_NAME" varchar(128),
  "TBL_NAME" varchar(256),
  "MESSAGE" text,
  "MESSAGE_FORMAT" varchar(16)
);
CREATE UNIQUE INDEX "NOTIFICATION_LOG_EVENT_ID" ON "NOTIFICATION_LOG" ("EVENT_ID");

CREATE TABLE "NOTIFICATION_SEQUENCE" (
  "NNI_ID" bigint PRIMARY KEY,
  "NEXT_EVENT_ID" bigint NOT NULL,
  CONSTRAINT "ONE_ROW_CONSTRAINT" CHECK ("NNI_ID" = 1)
);

CREATE TABLE "SEQUENCE_TABLE" ("SEQUENCE_NAME" varchar(255) PRIMARY KEY, "NEXT_VAL" bigint NOT NULL);

CREATE TABLE "HIVE_LOCKS" (
  "HL_LOCK_EXT_ID" bigint NOT NULL,
  "HL_LOCK_INT_ID" bigint NOT NULL,
  "HL_TXNID" bigint NOT NULL,
  "HL_DB" varchar(128) NOT NULL,
  "HL_TABLE" varchar(256),
  "HL_PARTITION" varchar(767),
  "HL_LOCK_STATE" char(1) NOT NULL,
  "HL_LOCK_TYPE" char(1) NOT NULL,
  "HL_LAST_HEARTBEAT" bigint NOT NULL,
  "HL_ACQUIRED_AT" bigint,
  "HL_USER" varchar(128) NOT NULL,
  "HL_HOST" varchar(128) NOT NULL,
  "HL_HEARTBEAT_COUNT" integer,
  "HL_AGENT_INFO" varchar(128),
  "HL_BLOCKEDBY_EXT_ID" bigint,
  "HL_BLOCKEDBY_INT_ID" bigint,
  PRIMARY KEY ("HL_LOCK_EXT_ID", "HL_LOCK_INT_ID")
);
CREATE INDEX hl_txnid_index ON "HIVE_LOCKS" USING hash ("HL_TXNID");

-- One of the metastore's tables without a primary key: a publication FOR ALL TABLES makes its UPDATE fail, and with it every lock.
CREATE TABLE "NEXT_LOCK_ID" ("NL_NEXT" bigint NOT NULL);

-- What a metastore holds after its first start. It takes two locks for itself then, so ours begin at 3.
INSERT INTO "CTLGS" VALUES (1, 'hive', 'Default catalog, for Hive', 'file:/warehouse', 1700000000);
INSERT INTO "DBS" ("DB_ID", "DESC", "DB_LOCATION_URI", "NAME", "OWNER_NAME", "OWNER_TYPE", "CREATE_TIME")
  VALUES (1, 'Default Hive database', 'file:/warehouse', 'default', 'public', 'ROLE', 1700000000);
INSERT INTO "NOTIFICATION_SEQUENCE" VALUES (1, 1);
INSERT INTO "SEQUENCE_TABLE" VALUES
  ('org.apache.hadoop.hive.metastore.model.MDatabase', 11),
  ('org.apache.hadoop.hive.metastore.model.MNotificationLog', 1);
INSERT INTO "NEXT_LOCK_ID" VALUES (3);
