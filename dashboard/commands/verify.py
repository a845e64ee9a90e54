"""`python -m dashboard verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from queries.errors import ArgumentError


def verify(
    folder: Annotated[Path, typer.Argument(help="Folder that `export` wrote to, or into which files were downloaded.")],
) -> None:
    """Read every file again that has a manifest: checksum, rows and sums; exit code 1 on any difference."""
    from queries.exports.verifying import verified  # which imports pyarrow

    if not folder.is_dir():
        raise ArgumentError(f"there is no folder {folder}; name one that export wrote to")
    found = verified(folder)
    for one in found:
        typer.echo(f"{one.file}: {'ok' if one.is_good else 'differs'}")
        for difference in one.differences:
            typer.echo(f"  {difference}")
    if not found:
        raise ArgumentError(f"there is no export in {folder}; name a folder that export wrote to")
    if not all(one.is_good for one in found):
        raise typer.Exit(1)
