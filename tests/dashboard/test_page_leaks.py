"""A fuzz of whole pages: whatever address an account manager opens, nothing of another's tenants is on the page.

Other viewers use the same process, and so the same caches, between the calls.
"""

import random
from typing import Any

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import services, viewer

CALLS = 40
# Below this length a name may stand in another's by chance.
SHORTEST_NAME = 4
PERIODS = ("Last 7 days", "Last 28 days", "Last 90 days", "This month")


@pytest.fixture
def strangers(demo: services.Services) -> dict[str, set[str]]:
    """For each tenant that is not the account manager's: its id, its name, its users' names and its prompts' owners."""
    mine = viewer.viewer_scope(demo, "account_manager")
    assert mine.ids
    url = demo.settings.database_url
    assert url is not None
    with psycopg.connect(url.get_secret_value()) as connection:
        connection.execute("SELECT set_config('usage_dashboard.tenants', 'all', true)")
        tenants = dict(connection.execute("SELECT id, name FROM usage_dashboard.app_organization").fetchall())
        users = connection.execute('SELECT "organizationId", name, email FROM usage_dashboard.app_user').fetchall()
    own_words = {tenants[one] for one in mine.ids} | {name for tenant, name, _ in users if tenant in mine.ids}
    words: dict[str, set[str]] = {one: {one, name} for one, name in tenants.items() if one not in mine.ids}
    for tenant, _, email in users:
        if tenant in words:
            words[tenant].add(email)
    return {one: {word for word in said - own_words if len(word) >= SHORTEST_NAME} for one, said in words.items()}


def everything_on(app: AppTest) -> str:
    """All that the page sends: every element's message, tables and charts included."""
    tables = "\n".join(one.value.to_csv() for one in app.dataframe)
    return tables + "\n" + "\n".join(repr(element.proto) for element in app.main if hasattr(element, "proto"))


def random_address(chance: random.Random, ids: list[str], names: list[str]) -> tuple[str, dict[str, str]]:
    parameters = {"period": chance.choice(PERIODS), "zone": chance.choice(("UTC", "Asia/Kathmandu"))}
    if chance.random() < 0.5:
        parameters |= {"search": chance.choice(["", "a", chance.choice(names)[:20]]), "page": str(chance.randint(1, 3))}
        return "", parameters
    if chance.random() < 0.4:
        parameters |= {"by": chance.choice(("Tenant", "User", "Model")), "gfrom": "2026-06-01T00:00:00Z"}
        parameters |= {chance.choice(("tenant", "of")): chance.choice(ids)}
        return "timelines", parameters
    if chance.random() < 0.4:
        parameters |= {
            "tab": chance.choice(("Where they go", "How long they last")),
            "per": chance.choice(("Day", "Week")),
        }
        # Another's tenant as the page's own, or as the one whose burn-down is shown.
        parameters |= {chance.choice(("tenant", "focus")): chance.choice(ids)}
        return "burn", parameters
    parameters |= {"tenant": chance.choice(ids), "split": chance.choice(("Type", "User", "Model"))}
    return "tenant", parameters


def asked_for(parameters: dict[str, str]) -> str:
    return parameters.get("tenant", "")


@pytest.mark.parametrize("seed", range(2))
def test_no_page_shows_another_managers_tenant(
    seed: int, open_app: Any, demo: services.Services, ids: list[str], strangers: dict[str, set[str]]
) -> None:
    chance = random.Random(seed)
    names = [name for words in strangers.values() for name in sorted(words)]
    refused = shown = 0
    for _ in range(CALLS // 2):
        where, parameters = random_address(chance, ids, names)
        # An administrator asks first, so that the caches hold everybody's answers to this very question.
        administrators = open_app(where, **parameters)
        assert not administrators.exception
        if asked_for(parameters) in strangers:
            assert asked_for(parameters) in everything_on(administrators), "the check below could not fail"
        app = open_app(where, role="account_manager", **parameters)
        assert not app.exception
        page = everything_on(app)
        if asked_for(parameters) in strangers:
            assert "no such tenant" in page
            refused += 1
        else:
            shown += 1
        for tenant, words in strangers.items():
            for word in words - {asked_for(parameters), parameters.get("search"), parameters.get("focus")}:
                assert word not in page, (where, parameters, tenant)
    assert refused
    assert shown
