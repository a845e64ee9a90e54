"""Our names for the application's tables and columns, and theirs. Names come from here, types from the live catalog.

The default is Prisma's: model names as table names, camelCase columns. A TOML file (setting MAPPING_FILE, or
`usage-dashboard.toml` in the working folder) says what differs, table by table, in one of these forms:

    [tables.generation]                 # a table of theirs, by names; "" where there is no such column
    schema = "public"
    name = "generations"
    columns = { tenant_id = "org_id", model = "" }

    [tables.generation]                 # a SELECT over their tables, whose columns have our names
    select = 'SELECT g.id AS id, p.team_id AS tenant_id, ... FROM generations AS g JOIN projects AS p ON ...'
    note = "durations are in seconds"

    [tables.generation]                 # the same, once for each schema whose name matches, united
    schemas = "tenant_*"
    select = 'SELECT id, {schema_text} AS tenant_id, created_at FROM {schema}."generation"'

    [tables.image]                      # there is none
    missing = true

    [values.generation_status]          # their values of ours
    succeeded = ["COMPLETED", "2"]

docs/mapping.md says more. queries/relations.py makes SQL of it, by the live database.
"""

from queries.mapping.file import FILE_NAME, load_mapping, written
from queries.mapping.model import Mapping, TableMapping, Values, prisma_mapping

__all__ = ["FILE_NAME", "Mapping", "TableMapping", "Values", "load_mapping", "prisma_mapping", "written"]
