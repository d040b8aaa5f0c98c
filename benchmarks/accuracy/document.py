"""Printed tables put into a page of the documentation, between two marks that the page has for them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path


def replaced(page: str, mark: str, text: str) -> str:
    """The page with the text between `<!-- mark -->` and `<!-- /mark -->`; ValueError if it lacks these."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no place for the tables: it needs the lines {begin} and {end}")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def publish(path: Path | None, mark: str, command: str, text: str) -> None:
    """Print tables, headed by the command and the date; with a page, put them there, too."""
    headed = f"`{command}`, {datetime.now(UTC):%Y-%m-%d}\n\n{text}"
    print(headed)
    if path is not None:
        path.write_text(replaced(path.read_text(encoding="utf-8"), mark, headed), encoding="utf-8")
