"""`python -m dashboard export`, for cron: a file and its manifest."""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import re
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from dashboard import services
from dashboard.auditing import AuditedRegister
from dashboard.commands.digest import opened
from dashboard.logs import configure_logging
from queries.errors import ArgumentError, NotFoundError, UsageDashboardError
from queries.exports.copying import unknown_tenants
from queries.exports.manifest import SUFFIX, Manifest
from queries.exports.reports import FORMATS, REPORTS, Order, month_bounds
from queries.exports.verifying import problems
from queries.scope import Scope, is_storable
from queries.settings import load_settings

ROLE = "command line"
_MOST_TENANTS = 1_000
_WRITE_BYTES = 2**20


def export(
    report: Annotated[str, typer.Argument(help=f"One of {', '.join(REPORTS)}.")],
    out: Annotated[Path, typer.Option(help="Folder for the file and its manifest; made when it is not there.")],
    month: Annotated[str | None, typer.Option(help="A month, such as 2026-10.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First day, such as 2026-10-01.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last day, included.")] = None,
    zone: Annotated[str | None, typer.Option(help="IANA time zone of the days. Default: REPORTING_ZONE.")] = None,
    format_: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")] = "csv",
    tenant: Annotated[list[str] | None, typer.Option(help="A tenant's id; once for each. Default: all.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="CSV for machines: no BOM, LF.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Texts that look like formulas stay as they are.")] = False,
) -> None:
    """Write a report's file and its manifest to a folder and print rows and sums; exit code 1 on any difference.
    Running it twice changes nothing."""
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    first, last = _dates(month, from_, to)
    order = Order(
        report=report,
        scope=_scope(tenant or []),
        zone=zone or settings.reporting_zone,
        first=first,
        last=last,
        now=datetime.now(UTC),
        format=format_,  # type: ignore[arg-type]  # the order checks it
        dialect="plain" if plain else "excel",
        guarded=not raw,
    )
    with opened(settings) as held:
        _refuse_unknown(held, order.scope)
        manifest, changed = _exported(held, order, out)
    _print(manifest, out, changed=changed)
    if manifest.differences:
        raise typer.Exit(1)


def month_named(name: str) -> date:
    """The first day of a month that is given as 2026-10; ArgumentError for any other word."""
    if not re.fullmatch(r"[12]\d{3}-(0[1-9]|1[0-2])", name, re.ASCII):
        raise ArgumentError(f"{name[:40]!r} is not a month; write it as 2026-10")
    return date.fromisoformat(f"{name}-01")


def _dates(month: str | None, from_: str | None, to: str | None) -> tuple[date | None, date | None]:
    if month is None:
        return _day("--from", from_), _day("--to", to)
    if from_ is not None or to is not None:
        raise ArgumentError("a month and days are given; give --month, or --from and --to")
    return month_bounds(month_named(month))


def _day(option: str, given: str | None) -> date | None:
    if given is None:
        return None
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise ArgumentError(f"{option} {given[:40]!r} is not a day; write it as 2026-10-01") from None


def _scope(ids: list[str]) -> Scope:
    if len(ids) > _MOST_TENANTS:
        raise ArgumentError(f"{len(ids):,} tenants are named; name at most {_MOST_TENANTS:,}, or none for all")
    return Scope.of(ids) if ids else Scope.all_tenants()


def _refuse_unknown(held: services.Services, scope: Scope) -> None:
    unknown = unknown_tenants(held.database, scope)
    if unknown:
        raise NotFoundError(f"there is no tenant {unknown[0][:80]!r}; take the id from the Tenants page")


def _exported(held: services.Services, order: Order, folder: Path) -> tuple[Manifest, bool]:
    """The manifest, and whether anything in the folder was changed."""
    from dashboard.exports.making import run_of  # which imports Streamlit

    export_id = AuditedRegister(held.export_register, held.audit).begin(order, by=person(), role=ROLE)
    try:
        with _ending_tidily(), _temporary(folder, order.file_name) as path:
            manifest = _streamed(run_of(held, order, export_id), path)
            changed = not manifest.differences and _put(path, manifest, folder)
    except OSError as error:
        _fail(held, export_id, error.strerror or type(error).__name__)
        raise UsageDashboardError(
            f"the file cannot be written to {folder} ({error.strerror}); make room, or name another folder by --out"
        ) from error
    except BaseException as error:
        _fail(held, export_id, error.message if isinstance(error, UsageDashboardError) else "stopped before its end")
        raise
    held.export_register.finish(export_id, manifest)
    return manifest, changed


def _fail(held: services.Services, export_id: str, reason: str) -> None:
    """Say so in the register too; what is wrong is told whether or not the register takes it."""
    with suppress(UsageDashboardError):
        held.export_register.fail(export_id, "failed", reason)


@contextmanager
def _ending_tidily() -> Iterator[None]:
    """SIGTERM, as of a cron job that may not take longer, ends the COPY and takes the temporary file away."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _streamed(run: Any, path: Path) -> Manifest:
    with path.open("xb", buffering=_WRITE_BYTES) as file:
        manifest: Manifest = run.run(file.write)
        file.flush()
        os.fsync(file.fileno())
    # What is on the disk, and not only what was handed out: rows and sums are counted anew from the file.
    return replace(manifest, differences=(*manifest.differences, *problems(path, manifest)))


def _put(path: Path, manifest: Manifest, folder: Path) -> bool:
    """Give file and manifest their names; False when those that are there say the same."""
    named, beside = folder / manifest.file, folder / (manifest.file + SUFFIX)
    # Of two exports at once one is second: nobody sees one's file beside the other's manifest.
    with _locked(folder):
        if _says_the_same(named, beside, manifest):
            return False
        written = path.with_name(f"{path.name}.json")  # which `verify` takes for no manifest
        try:
            written.write_text(manifest.as_json(), encoding="utf-8")
            # Killed from here on, a file is left without a manifest, which the next run writes anew.
            beside.unlink(missing_ok=True)
            path.replace(named)
            written.replace(beside)
        finally:
            written.unlink(missing_ok=True)
    return True


def _says_the_same(named: Path, beside: Path, manifest: Manifest) -> bool:
    """Whether the folder holds this very file: by its manifest, but for when it was made, and by its size."""
    try:
        there = Manifest.from_json(beside.read_text(encoding="utf-8"))
        if named.stat().st_size != manifest.bytes or _sha256(named) != manifest.sha256:
            return False
    except (OSError, UnicodeDecodeError, ArgumentError):
        return False
    return _timeless(there) == _timeless(manifest)


def _timeless(manifest: Manifest) -> Manifest:
    filters = {key: value for key, value in manifest.filters.items() if key != "until_utc"}
    return replace(manifest, id="", as_of=datetime.min.replace(tzinfo=UTC), filters=filters)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _temporary(folder: Path, name: str) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{name}.{secrets.token_hex(4)}.part"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    opened_folder = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened_folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened_folder)


def person() -> str:
    """Who runs the command, as the machine knows them."""
    try:
        name = getpass.getuser()
    except OSError:  # a container's user without a name
        name = str(os.getuid())
    return re.sub(r"\s+", " ", name).strip() if is_storable(name) else "somebody"


def _print(manifest: Manifest, folder: Path, *, changed: bool) -> None:
    say = Console(stderr=True, highlight=False, soft_wrap=True).print
    typer.echo(f"{manifest.file}: {manifest.rows:,} rows, {manifest.status}, SHA-256 {manifest.sha256}")
    for name, total in manifest.sums.items():
        typer.echo(f"  {name} {total}")
    if manifest.differences:
        for one in manifest.differences:
            say(f"difference: {one}", markup=False)
        say("The file was not kept: it is not what its snapshot holds. Run the command again.", markup=False)
    elif changed:
        say(f"Written to {folder}, with its manifest {manifest.file}{SUFFIX}.", markup=False)
    else:
        say(f"Nothing changed: {folder} holds this very file.", markup=False)
