-- Prepares a Hive Metastore's database (PostgreSQL 15 or later) for polaris-push. Run it once, as the owner of the
-- metastore's tables or as a superuser, connected to the metastore's database:
--
--   psql -v ON_ERROR_STOP=1 -v password="'change me'" -f setup.sql postgresql://hive@host:5432/metastore
--
-- PostgreSQL itself must log enough: ALTER SYSTEM SET wal_level = 'logical'; and a restart. A bound on what an unused slot
-- keeps is wise: ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; (a slot that falls further behind is created anew).

-- A role that may read names and metadata locations and follow changes, and nothing else. Only a superuser may give
-- REPLICATION; on Amazon RDS leave it out and GRANT rds_replication TO polaris_push instead.
CREATE ROLE polaris_push LOGIN REPLICATION PASSWORD :password;
GRANT USAGE ON SCHEMA public TO polaris_push;
GRANT SELECT ("DB_ID", "NAME", "CTLG_NAME") ON public."DBS" TO polaris_push;
GRANT SELECT ("TBL_ID", "DB_ID", "TBL_NAME", "TBL_TYPE") ON public."TBLS" TO polaris_push;
GRANT SELECT ("TBL_ID", "PARAM_KEY", "PARAM_VALUE") ON public."TABLE_PARAMS" TO polaris_push;
-- For `polaris-push check`, which lists the catalogs when one is misspelt.
GRANT SELECT ("NAME") ON public."CTLGS" TO polaris_push;

-- What is streamed: ids and names, never a value. Each column list holds the table's primary key; without it the
-- metastore's own updates would fail. Never use FOR ALL TABLES: some of the metastore's tables have no primary key, and
-- PostgreSQL refuses to update such a table while it is published.
-- On PostgreSQL 14, which has no column lists: CREATE PUBLICATION polaris_push FOR TABLE public."DBS", public."TBLS", public."TABLE_PARAMS";
CREATE PUBLICATION polaris_push FOR TABLE
  public."DBS" ("DB_ID", "NAME", "CTLG_NAME"),
  public."TBLS" ("TBL_ID", "DB_ID", "TBL_NAME"),
  public."TABLE_PARAMS" ("TBL_ID", "PARAM_KEY")
    WHERE ("PARAM_KEY" = 'metadata_location' OR "PARAM_KEY" = 'table_type');

-- The replication slot is made by polaris-push itself at its first start: after the publication, as it must be.
