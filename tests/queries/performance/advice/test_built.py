"""Without HypoPG: candidates built as the tables' owner and rolled back; or nothing verified, and said so."""

import psycopg
import pytest

from queries.performance.advice import Statement, advise

PICTURES = 'SELECT * FROM usage_dashboard.app_image WHERE usage_dashboard.app_image."generationId" = ANY ($1)'
PLAIN = 'SELECT * FROM "Image" WHERE "generationId" = ANY ($1)'


@pytest.fixture
def big_enough(app_url: str) -> str:
    """The small demo's images, many times over: an index is not worth its keep on fewer."""
    with psycopg.connect(app_url, autocommit=True) as connection:
        connection.execute(
            'INSERT INTO "Image" ("id", "generationId", "organizationId", "sizeBytes", "width", "height", "createdAt")'
            ' SELECT i."id" || \'_\' || n, i."generationId", i."organizationId", 1, 1, 1, i."createdAt"'
            ' FROM (SELECT * FROM "Image" ORDER BY "id" LIMIT 3000) AS i, generate_series(1, 30) AS n'
        )
        connection.execute('ANALYZE "Image"')
    return app_url


def test_an_index_is_built_measured_and_gone(big_enough: str, reader_url: str) -> None:
    """The reader's question goes through a view that the tables' owner may not read; he gets one like it."""
    statement = Statement("pictures", PICTURES, {"median": (["a", "b"],)}, calls_per_day=100_000.0)
    with (
        psycopg.connect(reader_url, autocommit=True) as reader,
        psycopg.connect(big_enough, autocommit=True) as owner,
    ):
        before = owner.execute("SELECT relname FROM pg_class ORDER BY 1").fetchall()
        (one,) = advise(reader, [statement], build_on=owner)
        assert (one.verdict, one.evidence, one.index_name) == ("create_index", "built", "Image_generationId_idx")
        assert one.gain_ms["median"] > 0
        assert owner.execute("SELECT relname FROM pg_class ORDER BY 1").fetchall() == before
        assert reader.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_without_anyone_to_ask_it_is_an_estimate_and_says_so(big_enough: str) -> None:
    statement = Statement("pictures", PLAIN, {"median": (["a", "b"],)}, calls_per_day=100_000.0)
    with psycopg.connect(big_enough, autocommit=True) as connection:
        (one,) = advise(connection, [statement])
    assert (one.verdict, one.evidence) == ("create_index", "estimated")
    assert one.severity != "high"
    assert "no planner has verified" in one.reason
    assert "CREATE EXTENSION hypopg" in one.reason
