"""The demo application's tables, named as Prisma would name them.

Quoted camelCase columns, text ids, ``timestamp(3)`` without zone holding UTC, PostgreSQL enums, schema ``public``.

Two deliberate flaws give engineers something true to find; every other foreign key is indexed and
no other index is redundant:

1. "Image"("generationId") has no index although it is a foreign key that every picture grid looks up.
2. "Generation_organizationId_idx" is redundant: "Generation_organizationId_createdAt_idx" starts with the same column.
"""

from typing import Final

import psycopg
from psycopg import sql

ENUMS: Final[dict[str, tuple[str, ...]]] = {
    "MembershipRole": ("OWNER", "ADMIN", "MEMBER"),
    "Plan": ("FREE", "STARTER", "PRO", "BUSINESS"),
    "SubscriptionStatus": ("TRIALING", "ACTIVE", "PAST_DUE", "CANCELED"),
    "CreditTransactionType": ("GRANT", "PURCHASE", "CHARGE", "REFUND", "ADJUSTMENT", "EXPIRY"),
    "GenerationType": ("TEXT_TO_IMAGE", "IMAGE_TO_IMAGE", "INPAINTING", "UPSCALE"),
    "GenerationStatus": ("PENDING", "PROCESSING", "SUCCEEDED", "FAILED", "CANCELLED"),
}

# In the order of loading: a table comes after those that it refers to.
TABLES: Final[dict[str, str]] = {
    "Organization": """
        "id" text NOT NULL, "name" text NOT NULL, "slug" text NOT NULL,
        "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(3) NOT NULL""",
    "User": """
        "id" text NOT NULL, "organizationId" text NOT NULL, "email" text NOT NULL, "name" text NOT NULL,
        "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(3) NOT NULL""",
    "Membership": """
        "id" text NOT NULL, "userId" text NOT NULL, "organizationId" text NOT NULL,
        "role" "MembershipRole" NOT NULL DEFAULT 'MEMBER',
        "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP""",
    "Subscription": """
        "id" text NOT NULL, "organizationId" text NOT NULL, "plan" "Plan" NOT NULL,
        "status" "SubscriptionStatus" NOT NULL, "currentPeriodStart" timestamp(3) NOT NULL,
        "currentPeriodEnd" timestamp(3) NOT NULL, "creditsPerPeriod" integer NOT NULL,
        "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(3) NOT NULL""",
    "CreditBalance": """
        "id" text NOT NULL, "organizationId" text NOT NULL, "balance" integer NOT NULL,
        "resetDate" timestamp(3) NOT NULL, "updatedAt" timestamp(3) NOT NULL""",
    "UsageLimit": """
        "id" text NOT NULL, "organizationId" text NOT NULL, "type" "GenerationType" NOT NULL,
        "date" date NOT NULL, "count" integer NOT NULL DEFAULT 0, "limit" integer NOT NULL""",
    "Generation": """
        "id" text NOT NULL, "userId" text NOT NULL, "organizationId" text NOT NULL, "type" "GenerationType" NOT NULL,
        "model" text NOT NULL, "status" "GenerationStatus" NOT NULL DEFAULT 'PENDING', "creditsUsed" integer NOT NULL,
        "durationMs" integer, "prompt" text NOT NULL, "error" text,
        "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "completedAt" timestamp(3),
        "updatedAt" timestamp(3) NOT NULL""",
    "CreditTransaction": """
        "id" text NOT NULL, "organizationId" text NOT NULL, "userId" text, "generationId" text,
        "type" "CreditTransactionType" NOT NULL, "amount" integer NOT NULL, "pricePaid" numeric(12,2), "currency" text,
        "description" text, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP""",
    "Image": """
        "id" text NOT NULL, "generationId" text NOT NULL, "organizationId" text NOT NULL, "url" text, "data" bytea,
        "sizeBytes" integer NOT NULL, "width" integer NOT NULL, "height" integer NOT NULL,
        "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP""",
}

UNIQUE_INDEXES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Organization", ("slug",)),
    ("User", ("email",)),
    ("Membership", ("userId", "organizationId")),
    ("Subscription", ("organizationId",)),
    ("CreditBalance", ("organizationId",)),
    ("UsageLimit", ("organizationId", "type", "date")),
)

INDEXES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("User", ("organizationId",)),
    ("Membership", ("organizationId",)),
    ("CreditBalance", ("organizationId", "resetDate")),
    ("CreditTransaction", ("organizationId", "createdAt")),
    ("CreditTransaction", ("userId",)),
    ("CreditTransaction", ("generationId",)),
    ("UsageLimit", ("organizationId", "date")),
    ("Generation", ("organizationId", "createdAt")),
    ("Generation", ("userId", "createdAt")),
    ("Generation", ("organizationId",)),  # deliberate flaw 2: redundant
    ("Image", ("organizationId", "createdAt")),
    # deliberate flaw 1: ("Image", ("generationId",)) is missing
)

# (table, column, referenced table, what a delete does)
FOREIGN_KEYS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("User", "organizationId", "Organization", "RESTRICT"),
    ("Membership", "userId", "User", "RESTRICT"),
    ("Membership", "organizationId", "Organization", "RESTRICT"),
    ("Subscription", "organizationId", "Organization", "RESTRICT"),
    ("CreditBalance", "organizationId", "Organization", "RESTRICT"),
    ("CreditTransaction", "organizationId", "Organization", "RESTRICT"),
    ("CreditTransaction", "userId", "User", "SET NULL"),
    ("CreditTransaction", "generationId", "Generation", "SET NULL"),
    ("UsageLimit", "organizationId", "Organization", "RESTRICT"),
    ("Generation", "userId", "User", "RESTRICT"),
    ("Generation", "organizationId", "Organization", "RESTRICT"),
    ("Image", "generationId", "Generation", "RESTRICT"),
    ("Image", "organizationId", "Organization", "RESTRICT"),
)


def create_schema(connection: psycopg.Connection) -> None:
    """Create enums, tables, keys and indexes in one transaction; does nothing when "Organization" exists."""
    with connection.transaction():
        if not has_schema(connection):
            create_tables(connection)
            create_indexes_and_keys(connection)


def has_schema(connection: psycopg.Connection) -> bool:
    """Whether the application's tables are there."""
    with connection.transaction():
        row = connection.execute("SELECT to_regclass('public.\"Organization\"') IS NOT NULL").fetchone()
    return row is not None and bool(row[0])


def create_tables(connection: psycopg.Connection) -> None:
    """Create enums and bare tables, without a key or an index, so that a bulk load meets none."""
    with connection.transaction():
        for name, values in ENUMS.items():
            labels = sql.SQL(", ").join(map(sql.Literal, values))
            connection.execute(sql.SQL("CREATE TYPE public.{} AS ENUM ({})").format(sql.Identifier(name), labels))
        for name, columns in TABLES.items():
            # The columns are this module's own constants: nothing of a caller reaches them.
            statement = sql.SQL("CREATE TABLE public.{} ({})").format(sql.Identifier(name), sql.SQL(columns))
            connection.execute(statement)


def create_indexes_and_keys(connection: psycopg.Connection) -> None:
    """Add primary keys, indexes and foreign keys to tables that have none."""
    with connection.transaction():
        for table in TABLES:
            connection.execute(
                sql.SQL('ALTER TABLE public.{} ADD CONSTRAINT {} PRIMARY KEY ("id")').format(
                    sql.Identifier(table), sql.Identifier(f"{table}_pkey")
                )
            )
        for unique, indexes in ((True, UNIQUE_INDEXES), (False, INDEXES)):
            for table, columns in indexes:
                connection.execute(_create_index(table, columns, unique=unique))
        for table, column, referenced, on_delete in FOREIGN_KEYS:
            connection.execute(_add_foreign_key(table, column, referenced, on_delete))


def drop_indexes_and_keys(connection: psycopg.Connection) -> None:
    """Take away what `create_indexes_and_keys` added; tables, their rows and views over them stay."""
    with connection.transaction():
        for table, column, _referenced, _on_delete in FOREIGN_KEYS:
            _drop_constraint(connection, table, f"{table}_{column}_fkey")
        for unique, indexes in ((True, UNIQUE_INDEXES), (False, INDEXES)):
            for table, columns in indexes:
                name = index_name(table, columns, unique=unique)
                connection.execute(sql.SQL("DROP INDEX IF EXISTS public.{}").format(sql.Identifier(name)))
        for table in TABLES:
            _drop_constraint(connection, table, f"{table}_pkey")


def index_name(table: str, columns: tuple[str, ...], *, unique: bool) -> str:
    """Prisma's name for an index, for example Generation_userId_createdAt_idx."""
    return "_".join((table, *columns, "key" if unique else "idx"))


def _create_index(table: str, columns: tuple[str, ...], *, unique: bool) -> sql.Composed:
    return sql.SQL("CREATE {} {} ON public.{} ({})").format(
        sql.SQL("UNIQUE INDEX" if unique else "INDEX"),
        sql.Identifier(index_name(table, columns, unique=unique)),
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
    )


def _add_foreign_key(table: str, column: str, referenced: str, on_delete: str) -> sql.Composed:
    return sql.SQL(
        "ALTER TABLE public.{} ADD CONSTRAINT {} FOREIGN KEY ({}) "
        'REFERENCES public.{} ("id") ON DELETE {} ON UPDATE CASCADE'
    ).format(
        sql.Identifier(table),
        sql.Identifier(f"{table}_{column}_fkey"),
        sql.Identifier(column),
        sql.Identifier(referenced),
        sql.SQL(on_delete),
    )


def _drop_constraint(connection: psycopg.Connection, table: str, name: str) -> None:
    connection.execute(
        sql.SQL("ALTER TABLE public.{} DROP CONSTRAINT IF EXISTS {}").format(
            sql.Identifier(table), sql.Identifier(name)
        )
    )
