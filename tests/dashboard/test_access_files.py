"""Addresses of files: every role, report and tenant, from one's own browser and from others', and after the right to
it is gone."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from dashboard import entrance, export_rights, services
from dashboard.admission import Admission, Oidc, Provider
from dashboard.browser import COOKIE
from dashboard.export_links import Person
from dashboard.exporting import Job
from dashboard.exports import making
from queries.access import Identity, Rule
from queries.access_book import AccessBook, NoRules
from queries.errors import DatabaseUnavailableError, NotFoundError
from queries.exports.reports import REPORTS
from queries.scope import Scope
from tests.dashboard.exporting_runs import Workshop, an_order
from tests.dashboard.serving import PATIENCE_S, WORD, _opened, browser_name, served, until
from tests.signing.cookies import SECRET, USER, claims_of, cookie
from tests.signing.provider import CLIENT_ID

ORIGIN = "https://dashboard.example.com"
ALL, MINE, ANOTHERS = Scope.all_tenants(), Scope.of(["a", "b"]), Scope.of(["b", "z"])
RULES = {
    "manager": [Rule("email", "manager@example.com", "account_manager", ("a", "b"), may_read_prompts=True)],
    "engineer": [Rule("email", "engineer@example.com", "engineer")],
    "finance": [Rule("email", "finance@example.com", "finance")],
    "admin": [Rule("email", "admin@example.com", "admin")],
    "two": [
        Rule("email", "two@example.com", "account_manager", ("a", "b")),
        Rule("email", "two@example.com", "finance", ("z",)),
    ],
    "stranger": [],
}
OF_FINANCE = ("credit-statement", "usage-lines", "ledger", "generations")
# Who may have what, written down once more: of each report, whose files hold which tenants.
MAY = {
    **{report: {"finance": (ALL, MINE, ANOTHERS), "admin": (ALL, MINE, ANOTHERS)} for report in OF_FINANCE},
    "tenants": {
        "manager": (MINE,),
        "finance": (ALL, MINE, ANOTHERS),
        "admin": (ALL, MINE, ANOTHERS),
        "two": (MINE, ANOTHERS),
    },
    "query-log": {"engineer": (ALL,), "admin": (ALL,)},
    "audit": {"admin": (ALL,)},
}


class Roles(NoRules):
    def __init__(self) -> None:
        self.rules = [one for rules in RULES.values() for one in rules]
        self.error: Exception | None = None

    def read(self) -> list[Rule]:
        if self.error is not None:
            raise self.error
        return list(self.rules)


@dataclass
class Site:
    """The routes of files where people sign in, with runs that a test holds in its hand."""

    port: int
    workshop: Workshop
    roles: Roles
    held: services.Services

    @property
    def admission(self) -> Admission:
        assert self.held.admission is not None
        return self.held.admission

    def identity(self, person: str, **claims: Any) -> Identity:
        told = {**claims_of(f"{person}@example.com", **claims), "provider": "default"}
        found = self.admission.of_claims(told)
        assert found is not None
        return found

    def ordered(self, person: str, report: str = "tenants", scope: Scope = MINE, **how: Any) -> tuple[Job, str]:
        """A job in the queue, however it came there, and its address."""
        who = self.identity(person)
        days = {} if REPORTS[report].has_period else {"first": None, "last": None}
        asker = Person(who.name, "admin", browser_name(), who.digest)
        job = self.workshop.exporter.order(an_order(report, scope=scope, **days, **how), asker, identity=who)
        return job, self.workshop.exporter.address(job)

    def get(self, path: str, person: str | None, *, word: str = WORD, **claims: Any) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        signed = cookie(claims_of(f"{person}@example.com", **claims), ORIGIN)
        cookies = [f"{COOKIE}={word}", *([f"{USER}={signed}"] if person is not None else [])]
        connection.request("GET", path, headers={"Cookie": "; ".join(cookies)})
        answer = connection.getresponse()
        _opened.extend((answer, connection))
        return answer

    def change(self, *rules: Rule) -> None:
        self.roles.rules = list(rules)
        self.admission.book.forget()


@pytest.fixture
def site(demo: services.Services) -> Iterator[Site]:
    workshop, roles = Workshop(), Roles()
    oidc = Oidc(ORIGIN, (Provider("default", CLIENT_ID),), SECRET)
    book = AccessBook(roles, remembers_s=3600, clock=lambda: 0.0)
    admission = Admission("oidc", book, 12 * 3600.0, read_oidc=lambda: oidc)
    held = replace(demo, exporter=workshop.exporter, export_register=workshop.register, admission=admission)
    services.install(held)
    with served() as port:
        yield Site(port, workshop, roles, held)
    workshop.exporter.close()


def test_the_matrix_names_every_report() -> None:
    assert set(MAY) == set(REPORTS)


def test_every_role_report_and_tenant_by_its_address(site: Site) -> None:
    cells = [
        (person, report, scope)
        for person in RULES
        for report in REPORTS
        for scope in ((ALL, MINE, ANOTHERS) if REPORTS[report].has_tenants else (ALL,))
    ]
    for person, report, scope in cells:
        job, address = site.ordered(person, report, scope)
        answer = site.get(address, person)
        body = answer.read().decode()
        where = f"{person} fetches {report} of {scope}: {body}"
        if scope in MAY[report].get(person, ()):
            assert answer.status == 200, where
            until(lambda job=job: job.state == "done", where)
        else:
            assert answer.status == 403, where
            assert "not open to your role" in body or "no role here" in body, where
            until(lambda job=job: job.state == "stopped", where)


def test_an_address_is_one_persons_in_one_browser_at_one_sign_in(site: Site) -> None:
    job, address = site.ordered("manager")
    for status, answer in (
        (401, site.get(address, None)),
        (403, site.get(address, "admin")),
        (403, site.get(address, "manager", word="v" * 43)),
        (403, site.get(address, "manager", nonce="another sign-in")),
        (401, site.get(address, "manager", aud="another deployment")),
        (401, site.get(address, "manager", iat=1_000_000_000)),
    ):
        assert answer.status == status
        assert b"x" not in answer.read()[:1]
    assert job.state == "ready", "others' tries take nothing away"
    assert site.get(address, "manager").status == 200
    until(lambda: job.state == "done", "the file ends")
    assert [site.get(f"{address}/manifest", one).status for one in ("manager", "admin", None)] == [200, 403, 401]


def test_after_sign_out_an_address_is_worth_nothing(site: Site) -> None:
    job, address = site.ordered("manager")
    entrance.ended(site.held, site.identity("manager"), browser_name())
    assert job.state == "stopped"
    assert site.get(address, "manager").status == 401, "also with a copy of the cookie"
    assert site.get(address, "manager", nonce="again").status == 403


def test_a_sign_out_in_another_browser_of_the_same_sign_in_counts(site: Site) -> None:
    job, address = site.ordered("manager")
    entrance.ended(site.held, site.identity("manager"), "another browser")
    assert job.state == "stopped"
    assert site.get(address, "manager").status == 401


REMOVED: list[tuple[str, Callable[[Site], None]]] = [
    ("removed", lambda site: site.change()),
    ("another role", lambda site: site.change(Rule("email", "manager@example.com", "engineer"))),
    ("fewer tenants", lambda site: site.change(Rule("email", "manager@example.com", "account_manager", ("a",)))),
]


@pytest.mark.parametrize("change", [one for _, one in REMOVED], ids=[name for name, _ in REMOVED])
def test_who_may_not_have_a_file_any_more_gets_none(site: Site, change: Callable[[Site], None]) -> None:
    job, address = site.ordered("manager")
    change(site)
    assert site.get(address, "manager").status == 403
    assert job.state == "stopped"
    with pytest.raises(NotFoundError):
        making.export_of(site.held, job, "1")


def test_prompts_are_asked_for_once_more(site: Site) -> None:
    rule = Rule("email", "admin@example.com", "admin", may_read_prompts=True)
    site.change(rule)
    job, address = site.ordered("admin", "generations", ALL, with_prompts=True)
    making.check(site.held, job)
    site.change(replace(rule, may_read_prompts=False))
    assert site.get(address, "admin").status == 403


@pytest.mark.parametrize("change", [one for _, one in REMOVED], ids=[name for name, _ in REMOVED])
def test_a_file_on_its_way_ends_with_the_right_to_it(
    site: Site, change: Callable[[Site], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_rights, "CHECK_EVERY_S", 0.02)
    job, answer = _running(site)
    change(site)
    _is_cut(job, answer)
    assert job.reason == "its person may not have it any more"


def test_a_file_on_its_way_ends_with_the_sign_in(site: Site) -> None:
    job, answer = _running(site)
    entrance.ended(site.held, site.identity("manager"), None)
    _is_cut(job, answer)
    assert job.reason == "manager@example.com signed out"


def test_a_file_on_its_way_ends_when_roles_cannot_be_known(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_rights, "CHECK_EVERY_S", 0.02)
    job, answer = _running(site)
    site.roles.error = DatabaseUnavailableError("away")
    site.admission.book.forget()
    _is_cut(job, answer)
    _, address = site.ordered("manager")
    refused = site.get(address, "manager")
    assert refused.status == 503
    assert "away" not in refused.read().decode()


def test_where_nobody_signs_in_files_are_as_before(site: Site) -> None:
    services.install(replace(site.held, admission=None))
    job = site.workshop.exporter.order(an_order(), Person("Demo visitor", "admin", browser_name()))
    assert site.get(site.workshop.exporter.address(job), None).status == 200


def _running(site: Site) -> tuple[Job, http.client.HTTPResponse]:
    """A file that would never end."""

    def pieces() -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    site.workshop.pieces = pieces
    job, address = site.ordered("manager")
    answer = site.get(address, "manager")
    assert answer.status == 200
    assert answer.read(1_000)
    return job, answer


def _is_cut(job: Job, answer: http.client.HTTPResponse) -> None:
    """The file is seen to be incomplete, and its run has ended."""
    until(lambda: job.state == "stopped", "the job ends")
    with pytest.raises((http.client.IncompleteRead, OSError)):
        _read_to_the_end(answer)
    with suppress(OSError):
        answer.close()


def _read_to_the_end(answer: http.client.HTTPResponse) -> None:
    while answer.read(2**20):
        pass
