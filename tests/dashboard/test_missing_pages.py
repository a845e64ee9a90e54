"""Pages over a database that lacks tables and columns: they say less, say so, and fail nowhere."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dashboard import filters, places, services
from dashboard.burn import choices as burn_choices
from queries import migrations
from queries.mapping import prisma_mapping, written
from queries.settings import Settings
from tests.dashboard.conftest import DEMO_NOW, ROOT
from tests.queries.catalog.test_missing import CASES, without

# Each page with what opens its views; the first tenant's id takes the place of T.
VIEWS: list[tuple[str, dict[str, str]]] = [
    ("tenants", {}),
    ("tenants", {"flags": "At risk", "sort": "Runway"}),
    *(
        ("tenant", {"tenant": "T", "tab": one, "of": "T"})
        for one in ("Overview", "Credits", "Users", "Quotas", "Quality", "Generations", "Ledger", "Compare")
    ),
    *(("tenant", {"tenant": "T", "split": one}) for one in ("User", "Model", "Status")),
    *(("burn", {"tab": one}) for one in (burn_choices.WHERE, burn_choices.HOW_LONG)),
    *(("burn", {"tab": one, "tenant": "T"}) for one in (burn_choices.WHERE, burn_choices.HOW_LONG)),
    *(("timelines", {"by": one}) for one in ("Nothing", "Type", "Model", "Status", "User", "Tenant")),
    ("timelines", {"tenant": "T", "by": "Type"}),
    ("statements", {}),
    ("statements", {"tenant": "T", "month": "2026-05"}),
    *(("exports", {"report": one}) for one in ("Credit statement", "Usage lines", "Ledger", "Generations", "Tenants")),
    ("indexes", {}),
    ("performance", {}),
]


@pytest.fixture(params=["only what must be"])
def demo(
    request: Any, owner_url: str, reader_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[services.Services]:
    """Services on the small demo, of which a mapping file leaves things out."""
    mapping, path = without(prisma_mapping(), *CASES[request.param]), tmp_path / "mapping.toml"
    path.write_text(written(mapping), encoding="utf-8")
    migrations.upgrade(owner_url, mapping)
    settings = Settings(database_url=reader_url, direct_url=owner_url, mapping_file=path)
    held = services.build(settings, is_demo=True)
    assert held.database.tables().walled
    before = services.installed()
    services.install(held)
    monkeypatch.setattr(filters, "utc_now", lambda: DEMO_NOW)
    monkeypatch.chdir(ROOT)
    yield held
    services.install(before)
    held.close()


@pytest.mark.parametrize("demo", ["only what must be", "no ledger, derived"], indirect=True)
def test_every_page_is_drawn_and_says_what_is_missing(
    demo: services.Services, open_app: Any, texts: Any, ids: list[str]
) -> None:
    # Those that are left out read nothing of the application.
    assert {name for name, _ in VIEWS} >= {one.name for one in places.PLACES} - {"plan", "access", "audit"}
    wrong = []
    for where, parameters in VIEWS:
        app = open_app(where, **{key: ids[0] if value == "T" else value for key, value in parameters.items()})
        wrong += [(where, parameters, str(one.value)) for one in (*app.exception, *app.error)]
    assert not wrong
    said = texts(app)
    assert isinstance(DEMO_NOW, datetime)
    for note in demo.mapping_notes:
        assert note.split(":")[0].split(" (")[0] in said.replace("\\", ""), note
