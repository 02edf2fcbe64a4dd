"""Reads tables through PyIceberg's RestCatalog, as any Python user of Polaris does.

Arguments: the URI of Polaris's catalog API, the catalog, then tables (namespace.name); a name that ends in `+` has data
files, so its rows are read too. The credential `id:secret` is in CREDENTIAL. Prints one JSON object by table name.
"""

import json
import os
import sys

from pyiceberg.catalog.rest import RestCatalog


def main(uri: str, warehouse: str, *names: str) -> None:
    catalog = RestCatalog(
        "polaris", uri=uri, warehouse=warehouse, credential=os.environ["CREDENTIAL"], scope="PRINCIPAL_ROLE:ALL"
    )
    found = {}
    for name in names:
        identifier = name.removesuffix("+")
        table = catalog.load_table(identifier)
        namespace = tuple(identifier.split(".")[:-1])
        found[identifier] = {
            "listed": tuple(identifier.split(".")) in catalog.list_tables(namespace),
            "exists": catalog.table_exists(identifier),
            "metadataLocation": table.metadata_location,
            "tableUuid": str(table.metadata.table_uuid),
            "columns": [f"{field.name} {field.field_type}" for field in table.schema().fields],
            "properties": table.properties,
            "rows": table.scan().to_arrow().sort_by("id").to_pylist() if name.endswith("+") else None,
        }
    print(json.dumps(found))


main(*sys.argv[1:])
