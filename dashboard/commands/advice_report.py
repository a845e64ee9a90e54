"""Index advice for people: a table to see it at a glance, then each entry with its reason and what to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from queries.performance.advice import SEVERITIES, TENANT_KINDS, Advice, TenantKind

_VERDICTS = {
    "create_index": "create an index",
    "drop_index": "drop an index",
    "rewrite": "rewrite",
    "pre_aggregate": "pre-aggregate",
    "analyze": "analyze",
    "none": "no index helps",
}
_EVIDENCE = {
    "hypopg": "verified with HypoPG",
    "built": "verified: built and rolled back",
    "estimated": "estimated, not verified",
}
_WIDTH = 120


def show(found: Sequence[Advice]) -> None:
    """Print the table and the entries; what is to be run stands on lines of its own, unbroken."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    ordered = sorted(found, key=_order)
    if not ordered:
        console.print("There is nothing to advise: no statement was given, and no index is in the way.")
        return
    console.print(_table(ordered))
    for number, one in enumerate(ordered, start=1):
        _entry(console, number, one)


def printable(text: str) -> str:
    """Text from a file or a database without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _order(one: Advice) -> tuple[bool, int, str, tuple[str, ...], str]:
    return one.verdict == "none", SEVERITIES.index(one.severity), one.verdict, one.statements, one.ddl or ""


def _table(found: Sequence[Advice]) -> Table:
    table = Table(title="Index advice", title_justify="left", title_style="bold")
    for heading in ("", "advice", "severity", "for", "gain per call", "size"):
        table.add_column(
            heading, overflow="fold", justify="right" if heading in ("", "gain per call", "size") else "left"
        )
    for number, one in enumerate(found, start=1):
        names = Text(printable(", ".join(one.statements)))
        severity = "" if one.verdict == "none" else one.severity
        table.add_row(str(number), _VERDICTS[one.verdict], severity, names, _gain(one), _size(one.size_bytes))
    return table


def _entry(console: Console, number: int, one: Advice) -> None:
    console.print()
    for line in (f"{number}. {_VERDICTS[one.verdict]}: {', '.join(one.statements)}", f"   {one.reason}"):
        console.print(printable(line), markup=False)
    if times := _times(one.before_ms, one.after_ms):
        console.print(f"   {times} ({_EVIDENCE[one.evidence]})", markup=False)
    for what, text in (("SQL", one.ddl), ("Prisma", one.prisma), ("rewritten", one.rewritten)):
        if text:
            lines = (
                printable(text.replace("\n", " ")) if what != "Prisma" else "\n".join(map(printable, text.splitlines()))
            )
            console.print(f"   {what}: {lines}", markup=False, soft_wrap=True)


def _times(before_ms: Mapping[TenantKind, float], after_ms: Mapping[TenantKind, float]) -> str:
    known = [kind for kind in TENANT_KINDS if kind in before_ms and kind in after_ms]
    return "; ".join(f"{kind} {_ms(before_ms[kind])} to {_ms(after_ms[kind])} ms" for kind in known)


def _gain(one: Advice) -> str:
    gains = list(one.gain_ms.values())
    if not gains or one.verdict == "none":
        return ""
    low, high = _ms(min(gains)), _ms(max(gains))
    return f"{low} ms" if low == high else f"{low} to {high} ms"


def _ms(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return ""
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:,.1f} kB"
