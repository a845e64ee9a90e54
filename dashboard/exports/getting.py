"""Getting the file: how it is written, the button, the place in the queue, how far it is, and what it held."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import streamlit as st

from dashboard import address, filters, fragments, places, words
from dashboard import viewer as viewers
from dashboard.browser import this_browser
from dashboard.export_links import Person, RefusedError
from dashboard.exporting import Earlier, Job, Previewed
from dashboard.exports.contents import Contents, named_tenants
from dashboard.exports.fetching import file_link
from dashboard.exports.wanted import FILE, FILES, RAW, Wanted, ordered
from dashboard.services import current
from queries.errors import NotFoundError, UsageDashboardError
from queries.exports.manifest import SUFFIX, Manifest
from queries.exports.reports import XLSX_ROWS, Order

LOOK_EVERY_S = 1.5
_ENDED_SHOWN = 3
_MINE, _SAID, _WATCHED = "exports_mine", "exports_said", "exports_watched"
NO_COOKIE = (
    "This browser has not sent the cookie that links to files are bound to. Allow cookies for this address, and load"
    " the page again."
)


def panel(wanted: Wanted, contents: Contents, place: Any) -> None:
    """The controls, and what is under way. It runs by itself: a press on its button leaves the page as it is, and a
    page that is being drawn anew while a part of it draws itself can be left half empty by Streamlit."""

    @fragments.fragment
    def the_file() -> None:
        _controls(wanted, contents)

    with place, st.container(border=True, height="stretch"):
        the_file()


def _controls(wanted: Wanted, contents: Contents) -> None:
    st.header("The file", anchor=False)
    file = st.selectbox(
        "Written as",
        list(FILES),
        key=FILE,
        bind="query-params",
        persist_state="session",
        on_change=address.forgive,
        args=(FILE,),
        help="For Excel: with a byte order mark and CRLF. For programs: plain UTF-8. Parquet keeps every type.",
    )
    raw = st.checkbox(
        "Raw text",
        key=RAW,
        bind="query-params",
        persist_state="session",
        on_change=address.forgive,
        args=(RAW,),
        disabled=FILES[file][0] == "parquet",
        help="Without it, a text that a spreadsheet would take for a formula gets an apostrophe in front. Raw leaves"
        " every text as it is: for programs, not for spreadsheets.",
    )
    caution, told = st.empty(), st.empty()
    browser = this_browser()
    st.button(
        "Download",
        icon=":material/download:",
        disabled=browser is None,
        on_click=_press,
        args=(wanted, contents, file, not raw),
    )
    if said := st.session_state.pop(_SAID, ""):
        told.error(words.plain(said), icon=":material/error:")
    if browser is None:
        told.info(NO_COOKIE, icon=":material/cookie_off:")
    else:
        _under_way(wanted, browser)
    if contents.preview is not None:
        _caution(contents, file, caution)
    else:
        # The page itself is being drawn: what the file would hold is known when the panels are there.
        wanted.board.afterwards(lambda: _caution(contents, file, caution))


def _caution(contents: Contents, file: str, place: Any) -> None:
    rows = contents.preview.rows if contents.preview is not None else 0
    if rows <= XLSX_ROWS:
        return
    many = f"{words.counted(rows, 'row')}, and a sheet of Excel has {XLSX_ROWS:,} below its header."
    if file == "Excel workbook":
        place.warning(f"This is {many} Choose CSV or Parquet, or a shorter period.", icon=":material/warning:")
    elif file == "CSV for Excel":
        place.warning(
            f"This is {many} The file is whole, but Excel will not open all of it: use Parquet, or choose a shorter"
            " period.",
            icon=":material/warning:",
        )


def _press(wanted: Wanted, contents: Contents, file: str, guarded: bool) -> None:
    """Take a place in the queue. A callback: who asks is read again, since rights may have gone."""
    try:
        who = asker(wanted.report.name)
        if not who.scope.covers(wanted.scope):
            raise NotFoundError("one of these tenants is not yours any more; choose again")
        order = ordered(
            who,
            wanted.report,
            wanted.scope,
            wanted.zone,
            (wanted.first, wanted.last),
            filters.utc_now(),
            file=file,
            guarded=guarded,
        )
        found = contents.preview
        begin(order, who, None if found is None else Previewed(found.rows, found.sums, found.as_of))
    except UsageDashboardError as error:
        say(error)


def say(error: UsageDashboardError) -> None:
    """Show this in the panel at the next run."""
    st.session_state[_SAID] = words.sentence(error.message)


def begin(
    order: Order, who: viewers.Viewer, previewed: Previewed | None = None, earlier: Earlier | None = None
) -> None:
    """Order a file for the browser of this session."""
    browser = this_browser()
    if browser is None:
        st.session_state[_SAID] = NO_COOKIE
        return
    try:
        person = Person(who.name, who.role, browser, who.who)
        job = current().exporter.order(order, person, previewed, earlier, who.identity)
    except RefusedError as refused:
        st.session_state[_SAID] = refused.sentence
        return
    st.session_state.setdefault(_MINE, []).append(job.id)


def asker(report: str) -> viewers.Viewer:
    """Who presses a button now; NotFoundError when the report is not open to them."""
    who = viewers.viewer()
    if not places.may_open("exports") or not who.may_take(report):
        raise NotFoundError("this report is not open to your role; choose another one")
    return who.taking(report)


def _under_way(wanted: Wanted, browser: str) -> None:
    """One's own jobs, looked at again and again for as long as one has not ended."""
    run_id = wanted.board.visit.run_id
    is_busy = any(not one.has_ended for one in _jobs(browser))

    @fragments.fragment(run_every=LOOK_EVERY_S if is_busy else None)
    def look() -> None:
        is_page_run = st.session_state.get(_WATCHED) != run_id
        st.session_state[_WATCHED] = run_id
        jobs = _jobs(browser)
        if is_busy and not is_page_run and all(one.has_ended for one in jobs):
            st.rerun()  # which reads the register anew, and looks no more
        for job in _shown(jobs):
            _job(wanted, job)

    look()


def _jobs(browser: str) -> list[Job]:
    """Those of who looks now: somebody else may have looked in this browser before, and what they took is theirs."""
    who = viewers.viewer()
    return [
        one
        for one in current().exporter.jobs_of(browser)
        if (one.person.name, one.person.who) == (who.name, who.who) and one.person.role in who.roles
    ]


def _shown(jobs: Sequence[Job]) -> list[Job]:
    ended = [one for one in jobs if one.has_ended][:_ENDED_SHOWN]
    return [one for one in jobs if not one.has_ended or one in ended]


def _job(wanted: Wanted, job: Job) -> None:
    name = words.plain(job.order.file_name)
    with st.container(border=job.state != "failed", gap="xsmall", key=f"job-{job.id}"):
        match job.state:
            case "waiting":
                _waiting(job, name)
            case "ready" | "running":
                _running(job, name)
            case "done" if job.manifest is not None:
                _done(wanted, job, job.manifest, name)
            case "failed":
                st.error(f"{name}: {words.plain(words.sentence(job.reason))}", icon=":material/error:")
            case _:
                st.markdown(f":material/block: {name}")
                st.caption(words.plain(f"No file: {job.reason}."))
        if job.has_ended and job.order.what.has_tenants and not job.order.scope.is_all:
            st.caption(words.plain(named_tenants(job.order.scope.ordered_ids)))


def _waiting(job: Job, name: str) -> None:
    exporter = current().exporter
    st.markdown(f":material/hourglass_empty: {name}")
    _still(job, f"Waits for its turn: number {exporter.ahead_of(job) + 1} in the queue, {exporter.running} under way.")


def _running(job: Job, name: str) -> None:
    if job.state == "ready" and job.id in st.session_state.get(_MINE, []):
        st.markdown(f":material/download: {name}")
        st.caption("Its turn has come: your browser fetches it. If it does not, use the link.")
        if link := _address(job):
            file_link("Fetch the file", link, job.order.file_name, key=f"fetch-{job.id}", once=job.id)
        return
    rows = job.rows
    expected = job.previewed.rows if job.previewed is not None else 0
    of = f" of about {expected:,}" if expected else ""
    st.progress(min(1.0, rows / expected) if expected else 0.0, text=f":material/download: {name}")
    _still(job, f"{rows:,}{of} rows so far, {size(job.bytes)}.")


def _still(job: Job, said: str) -> None:
    """How it stands, and the button that ends it."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(words.plain(said), width="stretch")
        st.button("Stop", key=f"stop-{job.id}", type="tertiary", on_click=current().exporter.stop, args=(job,))


def _done(wanted: Wanted, job: Job, manifest: Manifest, name: str) -> None:
    st.markdown(f":green[:material/check_circle:] {name}")
    held = f"{words.counted(manifest.rows, 'row')}, {size(manifest.bytes)}, {manifest.status}, as of"
    st.caption(words.plain(f"{held} {words.clock(manifest.as_of, wanted.zone)}. SHA-256 {manifest.sha256[:16]}…"))
    for one in manifest.differences:
        st.error(words.plain(words.sentence(one)), icon=":material/error:")
    if said := against_preview(job, manifest, wanted.zone):
        st.caption(words.plain(said))
    if job.earlier is not None:
        is_alarming, said = against_register(job.earlier, manifest, wanted.zone)
        if is_alarming:
            st.error(words.plain(said), icon=":material/error:")
        else:
            st.caption(words.plain(said))
    if link := _address(job):
        file_link("Manifest", f"{link}/manifest", manifest.file + SUFFIX, key=f"manifest-{job.id}")


def _address(job: Job) -> str:
    """Where the browser finds it; empty, and said, when somebody has signed out there just now."""
    try:
        return current().exporter.address(job)
    except RefusedError as refused:
        st.caption(words.plain(refused.sentence))
        return ""


def against_register(earlier: Earlier, manifest: Manifest, zone: str) -> tuple[bool, str]:
    """A file that was fetched again, against what the register says of the first time: whether something is wrong,
    and the comparison in words."""
    then = f"the one of {words.moment(earlier.asked_at, zone)}"
    if earlier.sha256 == manifest.sha256:
        return False, f"The same file as {then}, byte for byte: its SHA-256 is the one in the register."
    fact = f"Another file than {then}: the register has SHA-256 {earlier.sha256[:16]}…"
    if (earlier.status, manifest.status) != ("closed", "closed"):
        return False, f"{fact} That one was provisional, and rows came or changed since."
    has_same_rows = (earlier.rows, dict(earlier.sums)) == (manifest.rows, dict(manifest.sums))
    if manifest.filters["format"] != "csv" and has_same_rows:
        return False, (
            f"{fact} Rows and sums are the same: bytes of this format stay for as long as the libraries that write it"
            " keep their versions. Take CSV where they must not change."
        )
    return (
        True,
        f"{fact} The month is closed, so it should be the same. Keep both files, and tell who runs this server.",
    )


def against_preview(job: Job, manifest: Manifest, zone: str) -> str:
    """What the page said before, where the file holds something else; empty when it does not."""
    before = job.previewed
    if before is None:
        return ""
    changed = [
        f"{name} {words.exact(Decimal(before.sums[name]))} then, {words.exact(Decimal(value))} in the file"
        for name, value in manifest.sums.items()
        if name in before.sums and Decimal(before.sums[name]) != Decimal(value)
    ]
    if before.rows != manifest.rows:
        changed.insert(0, f"{words.counted(before.rows, 'row')} then, {manifest.rows:,} in the file")
    if not changed:
        return ""
    return f"Since the preview of {words.clock(before.as_of, zone)}: {'; '.join(changed)}."


def size(count: int) -> str:
    """Bytes as 812 bytes, 12.3 kB, 4.5 MB."""
    if count < 1_000:
        return words.counted(count, "byte")
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"
