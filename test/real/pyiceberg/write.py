"""Creates a table through PyIceberg's HiveCatalog and appends rows to it in two commits, with data files.

Arguments: the metastore's Thrift URI, the table (namespace.name). Prints the rows and the table's state as JSON.
"""

import json
import sys

import pyarrow as pa
from pyiceberg.catalog.hive import HiveCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import DoubleType, LongType, NestedField, StringType

ROWS = [
    [{"id": 1, "city": "Łódź", "celsius": 21.5}, {"id": 2, "city": "Ōsaka", "celsius": -3.25}],
    [{"id": 3, "city": None, "celsius": 0.1}],
]
SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "city", StringType(), required=False),
    NestedField(3, "celsius", DoubleType(), required=False),
)


def main(uri: str, name: str) -> None:
    # Hive 4 dropped the calls of Hive 2, which PyIceberg uses only if it is told to.
    catalog = HiveCatalog("hive", uri=uri)
    table = catalog.create_table(name, schema=SCHEMA, properties={"written-by": "PyIceberg"})
    for rows in ROWS:
        table.append(pa.Table.from_pylist(rows, schema=table.schema().as_arrow()))
    print(json.dumps({"metadataLocation": table.metadata_location, "rows": sum(ROWS, [])}))


main(*sys.argv[1:])
