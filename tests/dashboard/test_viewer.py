"""Whether the person behind a page run is still there."""

import pytest
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests

from dashboard.viewer import SessionReader, Visit


def reader(visit: Visit, requests: ScriptRequests | None = None, *, is_connected: bool = True) -> SessionReader:
    return SessionReader(visit, visit.run_id, is_connected=lambda: is_connected, requests=requests)


def test_a_reader_stays_while_the_run_is_the_newest_and_the_session_lives():
    assert not reader(Visit("1")).gone()
    assert not reader(Visit("1"), ScriptRequests()).gone()


def test_a_reader_is_gone_when_the_session_ends():
    assert reader(Visit("1"), is_connected=False).gone()


def test_readers_of_an_earlier_run_stay_gone():
    visit = Visit("1")
    earlier = reader(visit, ScriptRequests())
    visit.run_id = "2"
    assert earlier.gone()
    assert not reader(visit, ScriptRequests()).gone()


@pytest.mark.parametrize(
    ("asked", "gone"),
    [
        (RerunData(), True),
        (RerunData(fragment_id="one"), False),
        (RerunData(fragment_id="one", is_fragment_scoped_rerun=True), True),
    ],
)
def test_a_new_run_of_the_page_ends_the_wait_and_a_fragments_own_does_not(asked, gone):
    requests = ScriptRequests()
    requests.request_rerun(asked)
    assert reader(Visit("1"), requests).gone() == gone


def test_a_stop_ends_the_wait():
    requests = ScriptRequests()
    requests.request_stop()
    assert reader(Visit("1"), requests).gone()
