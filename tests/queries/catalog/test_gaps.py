"""Complete frames: every bucket, every series, exact types, and one word about clocks that disagree."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from queries.catalog.gaps import every_bucket, every_bucket_and_series, unique_labels
from queries.errors import PeriodError
from queries.period import Period

NOW = datetime(2025, 6, 4, 12, tzinfo=UTC)
PERIOD = Period.last_days(2, zone="UTC", now=NOW, grain="day")
FIRST = datetime(2025, 6, 2, tzinfo=UTC)
INSTANT, BIG = pa.timestamp("us", "UTC"), pa.decimal128(38, 1)


def frame_of(columns: dict[str, tuple[list[object], pa.DataType]]) -> pd.DataFrame:
    arrays = {
        name: pd.Series(pa.array(values, type_), dtype=pd.ArrowDtype(type_))
        for name, (values, type_) in columns.items()
    }
    return pd.DataFrame(arrays)


def split_frame() -> pd.DataFrame:
    return frame_of(
        {
            "bucket_start": ([FIRST, FIRST + timedelta(days=2), FIRST], INSTANT),
            "place": ([None, 1, 2], pa.int64()),
            "series_id": ([None, "a", "b"], pa.string()),
            "series": (["Other", "Ada", "Ada"], pa.string()),
            "generations": ([1, 2**53 + 1, 3], pa.int64()),
            "burned_credits": ([Decimal("0.1"), Decimal("0.2"), Decimal(10) ** 30], BIG),
        }
    )


def test_series_come_in_their_places_and_keep_their_types() -> None:
    full = every_bucket_and_series(split_frame(), {"period": PERIOD})
    assert list(full["series"]) == ["Ada", "Ada · b", "Other"] * 3
    assert list(full["generations"]) == [0, 3, 1, 0, 0, 0, 2**53 + 1, 0, 0]
    assert sum(full["burned_credits"]) == Decimal("0.3") + Decimal(10) ** 30
    assert full["burned_credits"].dtype == pd.ArrowDtype(BIG)
    assert full["generations"].dtype == pd.ArrowDtype(pa.int64())


def test_no_row_keeps_columns_and_buckets() -> None:
    nothing = split_frame().iloc[:0]
    assert list(every_bucket_and_series(nothing, {"period": PERIOD}).columns) == [
        *("bucket_start", "series_id", "series", "generations", "burned_credits")
    ]
    plain = every_bucket(nothing[["bucket_start", "generations"]], {"period": PERIOD})
    assert list(plain["generations"]) == [0, 0, 0]
    unsplit = every_bucket_and_series(nothing[["bucket_start", "generations"]], {"period": PERIOD})
    assert list(unsplit["series"]) == ["All"] * 3


def test_a_user_called_other_is_not_the_rest() -> None:
    frame = split_frame()
    frame["series"] = pd.array(["Other", "Other", "Other"], dtype=pd.ArrowDtype(pa.string()))
    assert list(unique_labels(frame)["series"]) == ["Other", "Other · a", "Other · b"]


@pytest.mark.parametrize("start", [FIRST + timedelta(minutes=30), FIRST - timedelta(days=1), FIRST + timedelta(days=9)])
def test_a_bucket_that_this_server_does_not_know_is_an_error_and_not_a_lost_row(start: datetime) -> None:
    period = Period(PERIOD.start, PERIOD.end, "UTC", "hour", NOW)
    frame = frame_of({"bucket_start": ([start], INSTANT), "generations": ([5], pa.int64())})
    with pytest.raises(PeriodError, match="clock changes of UTC"):
        every_bucket(frame, {"period": period})


def test_two_rows_of_one_bucket_are_an_error() -> None:
    frame = frame_of(
        {"bucket_start": ([FIRST, FIRST + timedelta(hours=1)], INSTANT), "generations": ([5, 6], pa.int64())}
    )
    with pytest.raises(PeriodError, match="tzdata"):
        every_bucket(frame, {"period": PERIOD})
