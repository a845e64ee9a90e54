"""The mapping file: every mistake is named with the nearest right name, and what is written is read back."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.errors import MappingError
from queries.mapping import FILE_NAME, Mapping, TableMapping, load_mapping, prisma_mapping, written
from queries.mapping.default import PRISMA, REQUIRED_TABLES, required

USER = '[tables.user]\nselect = "{}"'


def file(folder: Path, text: str) -> Path:
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[tables.generations]\nname = 'x'", "the nearest is 'generation'"),
        ("[table.generation]\nname = 'x'", "the nearest is 'tables'"),
        ("[tables.generation]\ncolums = {}", "the nearest is 'columns'"),
        ("[tables.generation]\ncolumns = { createdat = 'x' }", "the nearest is 'created_at'"),
        ("[values.generation_state]\nfailed = ['x']", "the nearest is 'generation_status'"),
        ("[values.generation_status]\nfaild = ['x']", "the nearest is 'failed'"),
        ("[values.generation_status]\nfailed = 'x'", "not a list of texts"),
        ("[tables.user]\nname = 3", r"name of \[tables.user\] in the mapping file is not a text"),
        ("[tables.user]\nmissing = 'yes'", "write missing = true"),
        ("[tables.user]\nmissing = true\nname = 'x'", "has missing and name"),
        ("[tables.generation]\nmissing = true", "nothing can be shown without it"),
        ("[tables.user]\ncolumns = { tenant_id = '' }", "no tenant_id"),
        ("[tables.generation]\ncolumns = { created_at = '' }", "no created_at"),
        ("[tables.user]\nschemas = 'a*'", "schemas and no select"),
        ("[tables.user]\nschemas = 'a*'\nselect = 'SELECT tenant_id FROM t'", r"does not say \{schema\}"),
        (USER.format("SELECT id, tenat_id FROM t"), "the nearest is 'tenant_id'"),
        (USER.format("SELECT id FROM t"), "no tenant_id"),
        (USER.format("SELECT a AS tenant_id, b AS tenant_id FROM t"), "'tenant_id' twice"),
        (USER.format("SELECT t.* FROM t"), "all columns"),
        (USER.format("SELECT tenant_id, lower(name) FROM t"), "column number 2 no name"),
        (USER.format("SELECT tenant_id FROM t WHERE"), "syntax error"),
        (USER.format("SELECT tenant_id FROM t; SELECT 2"), "2 statements"),
        (USER.format("DELETE FROM t RETURNING tenant_id"), "no SELECT"),
        (USER.format("VALUES (1)"), "names no columns"),
        (USER.format("WITH gone AS (DELETE FROM t RETURNING *) SELECT tenant_id FROM gone"), "writes"),
        (USER.format("SELECT tenant_id INTO u FROM t"), "INTO"),
        (USER.format("SELECT tenant_id FROM t FOR UPDATE"), "locks"),
        (USER.format("SELECT tenant_id FROM (SELECT * FROM t FOR SHARE) AS u"), "locks"),
        (USER.format("SELECT $1 AS tenant_id FROM t"), "parameter"),
        (USER.format("SELECT pg_catalog.set_config('a', 'b', false) AS tenant_id"), "calls set_config"),
        (USER.format("SELECT tenant_id FROM {schema}.t"), "no pattern is given"),
        ("[tables.user]\nname = 'Membership'", 'both user and membership to "public"."Membership"'),
    ],
)
def test_what_is_said_wrongly_is_named_with_the_nearest_right_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(MappingError, match=named):
        load_mapping(file(tmp_path, text))


def test_a_select_may_be_a_union_and_read_a_cte(tmp_path: Path) -> None:
    text = (
        "WITH known AS (SELECT * FROM t) SELECT tenant_id, made::timestamp AS created_at, id FROM known"
        " UNION ALL SELECT team, at, number FROM videos; "
    )
    one = load_mapping(file(tmp_path, f"[tables.generation]\nselect = '{text}'")).tables["generation"]
    assert one.select == text.strip("; ")
    assert {key for key, name in one.columns.items() if name} == {"id", "tenant_id", "created_at"}


def test_the_file_of_the_working_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_mapping(None) == prisma_mapping()
    (tmp_path / FILE_NAME).write_text("[tables.image]\nmissing = true\n", encoding="utf-8")
    assert load_mapping(None).lacks("image")
    assert load_mapping(file(tmp_path, "")) == prisma_mapping()


NAMES = st.text(min_size=1, max_size=12)
# What a SELECT may say beside its columns, with everything that TOML's own signs could break.
SAID = st.sampled_from(
    ("a LIKE 'x%'", "b = '\\n\u2028\x7f'", "c = ''''", "d =\n'\"e\"'", "e -- '''\n IS NULL", "f\t>\r1")
)


@st.composite
def mapped(draw: st.DrawFn, logical: str) -> TableMapping:
    """One table in any of its forms."""
    physical = PRISMA[logical][1]
    kinds = ["named", "select", "schemas", *([] if logical in REQUIRED_TABLES else ["missing"])]
    kind, note = draw(st.sampled_from(kinds)), draw(st.text(max_size=20))
    if kind == "missing":
        return TableMapping.of_nothing(logical, note=note)
    there = [one for one in physical if one in required(logical) or draw(st.booleans())]
    if kind == "named":
        names = iter(draw(st.lists(NAMES, min_size=len(there), max_size=len(there), unique=True)))
        columns = {one: next(names) if one in there else "" for one in physical}
        return TableMapping(draw(NAMES), f"{logical}{draw(NAMES)}", columns, note=note)
    listed = ", ".join(f'"{one}"' for one in there)
    source = "{schema}.t" if kind == "schemas" else "t"
    said = draw(SAID)
    schemas = draw(NAMES) if kind == "schemas" else None
    select = f"SELECT {listed}\nFROM {source} WHERE {said}"
    return TableMapping.of_select(logical, select, tuple(there), schemas=schemas, note=note)


@st.composite
def mappings(draw: st.DrawFn) -> Mapping:
    """Some tables and values otherwise than by default."""
    base = prisma_mapping()
    tables = {one: draw(st.just(known) | mapped(one)) for one, known in base.tables.items()}
    some = st.lists(st.text(max_size=8), max_size=3).map(tuple)
    values: Any = {
        kind: {one: draw(st.just(known) | some) for one, known in each.items()} for kind, each in base.values.items()
    }
    return Mapping(tables, values)


@given(mappings())
def test_what_is_written_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, mapping: Mapping) -> None:
    path = tmp_path_factory.getbasetemp() / "round.toml"
    path.write_bytes(written(mapping).encode())
    again = load_mapping(path)
    assert again == mapping
    assert again.digest == mapping.digest


def test_of_the_default_nothing_is_written() -> None:
    assert written(prisma_mapping()) == ""
    assert prisma_mapping().notes() == []


def test_a_note_changes_no_digest_and_a_select_does() -> None:
    base = prisma_mapping()

    def digest(select: str, **more: Any) -> str:
        one = TableMapping.of_select("user", select, ("tenant_id",), **more)
        return Mapping({**base.tables, "user": one}, base.values).digest

    plain = digest("SELECT tenant_id FROM t")
    assert digest("SELECT tenant_id FROM t", note="of t") == plain
    others = (digest("SELECT tenant_id FROM u"), digest("SELECT tenant_id FROM t", schemas="a*"))
    assert len({base.digest, plain, *others}) == 4


@given(mappings())
def test_every_table_and_column_that_is_missing_is_told(mapping: Mapping) -> None:
    said = " ".join(mapping.notes())
    words = {"user": "users", "membership": "memberships", "subscription": "subscriptions", "image": "images"}
    words |= {"credit_balance": "balances", "usage_limit": "limits", "credit_transaction": "ledger"}
    for logical, one in mapping.tables.items():
        assert mapping.lacks(logical) == one.missing
        if one.missing:
            assert words[logical] in said
            assert f"{logical}.tenant_id" not in said
    for column, word in (("status", "status"), ("duration_ms", "duration"), ("user_id", "user")):
        if mapping.lacks("generation", column):
            assert f"Generations have no {word}" in said
    if mapping.lacks("user", "email") and not mapping.lacks("user"):
        assert "user.email" in said
    assert mapping.derives_ledger == ("derived from generations" in said)


def test_the_document_names_every_column_and_its_examples_are_read(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text(encoding="utf-8")
    for logical, (_, columns) in PRISMA.items():
        row = next(line for line in document.splitlines() if line.startswith(f"| `{logical}` |"))
        assert re.findall(r"`(\w+)`", row)[1:] == list(columns)
    examples = re.findall(r"```toml\n(.*?)```", document, flags=re.DOTALL)
    assert len(examples) == 5
    for example in examples:
        assert load_mapping(file(tmp_path, example)) != prisma_mapping()
