"""What a measurement prints: tables, and each stated bound with PASS or FAIL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

console = Console(highlight=False, width=None if Console().is_terminal else 130)


@dataclass(frozen=True, slots=True)
class Bound:
    """A stated bound: the measured value must be at most `most`."""

    what: str
    measured: float
    most: float
    unit: str = "ms"

    @property
    def holds(self) -> bool:
        return self.measured <= self.most

    def __str__(self) -> str:
        return f"{self.what}: {shown(self.measured)} {self.unit} (at most {self.most:g})"


def shown(value: float) -> str:
    """A number with as many digits as mean something."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def concluded(bounds: Iterable[Bound]) -> int:
    """Print each bound; the command's exit code: 1 when one is missed."""
    missed = 0
    for bound in bounds:
        word = "[green]PASS[/green]" if bound.holds else "[bold red]FAIL[/bold red]"
        console.print(f"{word}  {bound}")
        missed += not bound.holds
    return 1 if missed else 0
