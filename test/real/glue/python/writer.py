"""Writes to a Glue Data Catalog through PyIceberg's GlueCatalog, and through boto3 what other tools do.

Arguments: Glue's address, the warehouse's location. Reads one JSON command a line, such as
{"command": "create", "table": "sales.orders"}, and answers each with a line: {"ok": RESULT} or {"error": TEXT}.
"""

import json
import sys
import traceback

import boto3
import pyarrow as pa
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "city", StringType(), required=False),
)
REGION = "eu-west-1"


class Writer:
    def __init__(self, endpoint: str, warehouse: str) -> None:
        self.glue = boto3.client("glue", endpoint_url=endpoint, region_name=REGION)
        self.catalog = GlueCatalog("glue", client=self.glue, warehouse=warehouse, **{"glue.region": REGION})
        self.warehouse = warehouse

    def create_namespace(self, namespace: str) -> None:
        self.catalog.create_namespace(namespace)

    def create(self, table: str) -> None:
        self.catalog.create_table(table, schema=SCHEMA)

    def append(self, table: str, times: int = 1) -> None:
        """So many commits, each of one row."""
        loaded = self.catalog.load_table(table)
        for i in range(times):
            loaded.append(pa.Table.from_pylist([{"id": i, "city": "Łódź"}], schema=loaded.schema().as_arrow()))

    def add_column(self, table: str, column: str) -> None:
        with self.catalog.load_table(table).update_schema() as update:
            update.add_column(column, StringType())

    def set_property(self, table: str, key: str, value: str) -> None:
        with self.catalog.load_table(table).transaction() as transaction:
            transaction.set_properties({key: value})

    def rename(self, table: str, to: str) -> None:
        self.catalog.rename_table(table, to)

    def drop(self, table: str) -> None:
        self.catalog.drop_table(table)

    def drop_many(self, namespace: str, names: list[str]) -> list[str]:
        answer = self.glue.batch_delete_table(DatabaseName=namespace, TablesToDelete=names)
        return [error["TableName"] for error in answer.get("Errors", [])]

    def drop_database(self, namespace: str) -> None:
        """With everything in it, which PyIceberg refuses and Glue does."""
        self.glue.delete_database(Name=namespace)

    def create_hive(self, table: str) -> None:
        namespace, name = table.split(".")
        location = f"{self.warehouse}/{namespace}/{name}"
        self.glue.create_table(
            DatabaseName=namespace,
            TableInput={
                "Name": name,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"classification": "parquet"},
                "StorageDescriptor": {"Location": location, "Columns": []},
            },
        )

    def state(self) -> list[dict]:
        """Every Iceberg table as PyIceberg lists and loads it."""
        tables = []
        for (namespace,) in self.catalog.list_namespaces():
            for identifier in self.catalog.list_tables(namespace):
                table = self.catalog.load_table(identifier)
                snapshot = table.metadata.current_snapshot_id
                tables.append(
                    {
                        "table": ".".join(identifier),
                        "metadataLocation": table.metadata_location,
                        "tableUuid": str(table.metadata.table_uuid),
                        "snapshotId": None if snapshot is None else str(snapshot),
                        "columns": len(table.schema().fields),
                    }
                )
        return tables


def main(endpoint: str, warehouse: str) -> None:
    writer = Writer(endpoint, warehouse)
    print(json.dumps({"ok": "ready"}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        command = getattr(writer, request.pop("command"))
        try:
            answer = {"ok": command(**request)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main(*sys.argv[1:])
