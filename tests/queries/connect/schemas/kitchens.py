"""Words that nobody else uses, and a plan behind the contract's version of it."""

from tests.queries.connect.recount import Expected
from tests.queries.connect.schemas.making import Connection, Schema, fill, run
from tests.queries.connect.world import NOW, World

STATES = {"succeeded": "plated", "failed": "burnt", "cancelled": "sent_back", "unfinished": "cooking"}


def renders(connection: Connection, world: World) -> Expected:
    """Renders of people of firms: asked for, ready and binned at a time; deactivated firms and disabled people, who are
    still there; daily counters whose limit is that of the plan."""
    run(
        connection,
        """CREATE SCHEMA kitchen;
        CREATE TABLE kitchen.firms (id integer PRIMARY KEY, title text NOT NULL, registered_at timestamptz,
          deactivated_at timestamptz);
        CREATE TABLE kitchen.people (id integer PRIMARY KEY, firm_id integer NOT NULL REFERENCES kitchen.firms,
          email text, full_name text, joined_at timestamptz, is_disabled boolean);
        CREATE TABLE kitchen.plans (id integer PRIMARY KEY, title text NOT NULL, renders_per_day integer,
          price_per_month numeric);
        CREATE TABLE kitchen.plan_versions (id integer PRIMARY KEY, plan_id integer NOT NULL REFERENCES kitchen.plans);
        CREATE TABLE kitchen.contracts (id integer PRIMARY KEY, firm_id integer NOT NULL REFERENCES kitchen.firms,
          plan_version_id integer REFERENCES kitchen.plan_versions, state text, renews_at timestamptz);
        CREATE TABLE kitchen.renders (id integer PRIMARY KEY, person_id integer NOT NULL REFERENCES kitchen.people,
          kind text, engine text, state text NOT NULL, wording text, tokens integer, asked_at timestamptz NOT NULL,
          ready_at timestamptz, binned_at timestamptz);
        CREATE TABLE kitchen.usage_counters (firm_id integer NOT NULL REFERENCES kitchen.firms, kind text, day date,
          used integer NOT NULL, PRIMARY KEY (firm_id, kind, day))""",
    )
    firms = [(t.number, t.name, t.created_at, NOW if t.number == 2 else None) for t in world.tenants]
    fill(connection, "kitchen.firms", ("id", "title", "registered_at", "deactivated_at"), firms)
    fill(
        connection,
        "kitchen.people",
        ("id", "firm_id", "email", "full_name", "joined_at", "is_disabled"),
        [(p.number, p.tenant, p.email, p.name, p.created_at, p.number == 5) for p in world.people],
    )
    fill(connection, "kitchen.plans", ("id", "title", "renders_per_day", "price_per_month"), [(7, "Pro", 10, 99)])
    fill(connection, "kitchen.plan_versions", ("id", "plan_id"), [(70, 7), (71, 7)])
    fill(
        connection,
        "kitchen.contracts",
        ("id", "firm_id", "plan_version_id", "state", "renews_at"),
        [(t.number, t.number, 70 + t.number % 2, "running", NOW) for t in world.tenants],
    )
    fill(
        connection,
        "kitchen.renders",
        ("id", "person_id", "kind", "engine", "state", "wording", "tokens", "asked_at", "ready_at", "binned_at"),
        [
            (
                *(g.number, g.person, g.kind, g.model, STATES[g.status], g.prompt, g.credits, g.created_at),
                *(g.completed_at, NOW if g.is_deleted else None),
            )
            for g in world.generations
        ],
    )
    fill(
        connection,
        "kitchen.usage_counters",
        ("firm_id", "kind", "day", "used"),
        [(q.tenant, q.kind, q.day, q.count) for q in world.quotas],
    )
    return Expected(
        world,
        key=str,
        names={one.number: one.name for one in world.tenants},
        leaves_deleted_out=True,
        quotas=True,
    )


SCHEMAS = (
    Schema(
        "renders of firms, binned rows, a plan behind its versions",
        renders,
        {
            "columns": {"generation": {"credits_used": "tokens"}},
            "values": {"generation_status": {theirs: ours for ours, theirs in STATES.items()}},
        },
        walled=True,
    ),
)
