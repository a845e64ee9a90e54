"""Schemas in the manner of real applications, each with the same facts in its own way.

A schema is a function that makes and fills its tables and says what the dashboard must find.
"""

from tests.queries.connect.schemas import further, kitchens, organizations, persons, unusual
from tests.queries.connect.schemas.making import Schema

SCHEMAS: tuple[Schema, ...] = (
    *organizations.SCHEMAS,
    *persons.SCHEMAS,
    *unusual.SCHEMAS,
    *further.SCHEMAS,
    *kitchens.SCHEMAS,
)
