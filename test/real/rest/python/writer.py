"""Writes to an Iceberg REST catalog through PyIceberg's RestCatalog, as any Python user of it does.

Arguments: the catalog's address, and the properties that PyIceberg needs for it as a JSON object. Reads one JSON command
a line, such as {"command": "create", "path": ["sales", "orders"]}, and answers each with a line: {"ok": RESULT} or
{"error": TEXT}. A path is the levels of a namespace, then the table's name.
"""

import json
import sys
import traceback
from collections.abc import Iterator
from urllib.parse import quote

import pyarrow as pa
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import BadRequestError
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType
from pyiceberg.view.metadata import SQLViewRepresentation, ViewVersion

SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "city", StringType(), required=False),
)


class Writer:
    def __init__(self, uri: str, properties: dict[str, str]) -> None:
        self.catalog = RestCatalog("source", uri=uri, **properties)

    def create_namespace(self, path: list[str]) -> None:
        self.catalog.create_namespace(tuple(path))

    def drop_namespace(self, path: list[str]) -> None:
        self.catalog.drop_namespace(tuple(path))

    def create(self, path: list[str], **_: object) -> None:
        self.catalog.create_table(tuple(path), schema=SCHEMA)

    def create_view(self, path: list[str], **_: object) -> None:
        version = ViewVersion(
            version_id=1,
            schema_id=0,
            timestamp_ms=1_764_000_000_000,
            summary={"engine-name": "PyIceberg"},
            representations=[SQLViewRepresentation(type="sql", sql="SELECT 1", dialect="spark")],
            default_namespace=path[:-1],
        )
        self.catalog.create_view(tuple(path), schema=SCHEMA, view_version=version)

    def append(self, path: list[str], times: int = 1, **_: object) -> None:
        """So many commits, each of one row."""
        loaded = self.catalog.load_table(tuple(path))
        for i in range(times):
            loaded.append(pa.Table.from_pylist([{"id": i, "city": "Łódź"}], schema=loaded.schema().as_arrow()))

    def add_column(self, path: list[str], column: str, **_: object) -> None:
        with self.catalog.load_table(tuple(path)).update_schema() as update:
            update.add_column(column, StringType())

    def set_property(self, path: list[str], key: str, value: str, **_: object) -> None:
        with self.catalog.load_table(tuple(path)).transaction() as transaction:
            transaction.set_properties({key: value})

    def register(self, path: list[str], like: list[str], **_: object) -> None:
        """Another name for what a table holds now."""
        self.catalog.register_table(tuple(path), self.catalog.load_table(tuple(like)).metadata_location)

    def rename(self, path: list[str], to: list[str], **_: object) -> None:
        self.catalog.rename_table(tuple(path), tuple(to))

    def drop(self, path: list[str], **_: object) -> None:
        self.catalog.drop_table(tuple(path))

    def drop_view(self, path: list[str], **_: object) -> None:
        self.catalog.drop_view(tuple(path))

    def clear(self) -> None:
        """Drops whatever there is."""
        for namespace in reversed(list(self.namespaces(()))):
            for identifier in self.catalog.list_tables(namespace):
                self.catalog.drop_table(identifier)
            for view in self.catalog._session.get(self.url(namespace, "views")).json()["identifiers"]:
                self.catalog._session.delete(self.url(namespace, "views", view["name"])).raise_for_status()
            self.catalog.drop_namespace(namespace)

    def url(self, namespace: tuple[str, ...], *rest: str) -> str:
        """Of what PyIceberg uses only where the catalog says that it has it, which Nessie doesn't say."""
        levels = self.catalog._encode_namespace_path(namespace)
        return self.catalog.url("/".join(["namespaces", levels, *(quote(part, safe="") for part in rest)]))

    def state(self) -> list[dict]:
        """Every table as PyIceberg lists and loads it, without those that the server can't address."""
        tables = []
        for namespace in self.namespaces(()):
            for identifier in self.catalog.list_tables(namespace):
                try:
                    table = self.catalog.load_table(identifier)
                except BadRequestError:
                    continue
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

    def namespaces(self, parent: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Of any depth, parents first. PyIceberg 0.12 encodes a parent twice, so its own list misses odd names."""
        query = {"parent": self.catalog._namespace_separator.join(parent)} if parent else {}
        answer = self.catalog._session.get(self.catalog.url("namespaces"), params=query)
        answer.raise_for_status()
        for namespace in answer.json()["namespaces"]:
            yield tuple(namespace)
            yield from self.namespaces(tuple(namespace))


def main(uri: str, properties: str) -> None:
    writer = Writer(uri, json.loads(properties))
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
