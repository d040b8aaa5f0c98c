"""The report page: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path


@dataclass(frozen=True)
class Picture:
    """A figure: its name, what it shows, its file, and the address that the page uses for it."""

    name: str
    caption: str
    source: str


@dataclass(frozen=True)
class Grid:
    """A table: heads with their explanations, rows of text; the first `n_text` columns are left-aligned."""

    heads: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[str]]
    n_text: int = 1
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page; a folded one is opened by a click."""

    title: str
    identifier: str
    parts: Sequence[Picture | Grid | str] = ()
    folded: bool = False
    open: bool = False
    level: int = 2


@dataclass(frozen=True)
class Page:
    """The whole page. `state` is `good`, `warning` or `bad` and colours the verdict."""

    title: str
    verdict: str
    details: str
    state: str
    notices: Sequence[tuple[str, str, str]] = ()  # state, title, HTML
    sections: Sequence[Section] = field(default_factory=list)


def picture(name: str, caption: str, file: Path, relative_to: Path, embed: bool) -> Picture:
    """A figure, its PNG inside the page or beside it."""
    if embed:
        data = base64.b64encode(file.read_bytes()).decode()
        return Picture(name, caption, f"data:image/png;base64,{data}")
    return Picture(name, caption, file.relative_to(relative_to).as_posix())


def render(page: Page) -> str:
    """The page as HTML."""
    links = "".join(f'<a href="#{s.identifier}">{escape(s.title)}</a>' for s in page.sections if s.level == 2)
    notices = "".join(
        f'<div class="notice {state}"><strong>{escape(title)}</strong>{text}</div>'
        for state, title, text in page.notices
    )
    sections = "\n".join(_section(section) for section in page.sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(page.title)}</h1>
<p class="verdict {page.state}">{escape(page.verdict)}</p>
<p class="details">{escape(page.details)}</p>
</header>
{notices}
<nav>{links}</nav>
<main>
{sections}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def listing(lines: Iterable[str]) -> str:
    """Lines of HTML as a list."""
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def _section(section: Section) -> str:
    parts = "\n".join(_part(part) for part in section.parts)
    head = f"h{section.level}"
    if section.folded:
        state = " open" if section.open else ""
        return (
            f'<details id="{section.identifier}"{state}><summary><{head}>{escape(section.title)}</{head}></summary>'
            f"\n{parts}\n</details>"
        )
    return f'<section id="{section.identifier}"><{head}>{escape(section.title)}</{head}>\n{parts}\n</section>'


def _part(part: Picture | Grid | str) -> str:
    if isinstance(part, Picture):
        lazy = "" if part.source.startswith("data:") else ' loading="lazy"'
        return (
            f'<figure><img src="{escape(part.source)}" alt="{escape(part.name)}"{lazy}>'
            f"<figcaption>{escape(part.caption)}</figcaption></figure>"
        )
    return _grid(part) if isinstance(part, Grid) else part


def _grid(grid: Grid) -> str:
    if not grid.rows:
        return f'<p class="none">{escape(grid.caption)}: none.</p>'
    heads = "".join(
        f'<th{_left(place, grid)} title="{escape(meaning)}">{escape(head)}</th>'
        for place, (head, meaning) in enumerate(grid.heads)
    )
    rows = "\n".join(
        ('<tr class="total">' if row[0] == "all" else "<tr>")
        + "".join(f"<td{_left(place, grid)}>{escape(cell)}</td>" for place, cell in enumerate(row))
        + "</tr>"
        for row in grid.rows
    )
    caption = f"<caption>{escape(grid.caption)}</caption>" if grid.caption else ""
    return f'<div class="scroll"><table>{caption}<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div>'


def _left(place: int, grid: Grid) -> str:
    return ' class="text"' if place < grid.n_text else ""


SCRIPT = (
    "addEventListener('beforeprint',()=>document.querySelectorAll('details').forEach(d=>d.open=true));"
    "function show(){const d=document.getElementById(location.hash.slice(1));if(d&&d.tagName==='DETAILS')d.open=true}"
    "addEventListener('hashchange',show);show();"
)

STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0 auto;padding:0 24px 60px;max-width:1180px;background:#fff;color:#1b1f24;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
header{padding-top:22px}
h1{font-size:26px;margin:0 0 10px}
h2{font-size:21px;margin:38px 0 10px;padding-bottom:4px;border-bottom:2px solid #e3e7eb}
h3{font-size:17px;margin:22px 0 6px}
.verdict{font-size:20px;font-weight:600;margin:0;padding:12px 16px;border-radius:6px;border-left:8px solid}
.details{margin:8px 0 0;color:#4a525c}
.notice{margin:16px 0;padding:10px 16px;border-radius:6px;border-left:8px solid;overflow-wrap:anywhere}
.notice ul{margin:6px 0 2px;padding-left:22px}
.notice code{font-size:14px}
.good{background:#e8f6f1;border-color:#009e73}
.warning{background:#fdf4e0;border-color:#e69f00}
.bad{background:#fcebe3;border-color:#d55e00}
nav{position:sticky;top:0;z-index:1;background:#fff;margin:16px 0 0;padding:8px 0;font-size:15px;
border-bottom:1px solid #e3e7eb}
nav a{margin-right:18px;color:#0060a0;text-decoration:none}
nav a:hover{text-decoration:underline}
section,details{scroll-margin-top:48px}
details{border:1px solid #d9dde2;border-radius:6px;margin:12px 0;padding:0 16px}
details[open]{padding-bottom:14px}
summary{cursor:pointer;padding:9px 0}
summary h2,summary h3{display:inline;margin:0;border:0;font-size:17px}
figure{margin:14px 0 26px}
img{display:block;width:100%;max-width:1200px;height:auto}
figcaption{color:#4a525c;font-size:14.5px;max-width:105ch;margin-top:4px}
.scroll{overflow-x:auto;margin:10px 0 18px}
table{border-collapse:collapse;font-size:14.5px;font-variant-numeric:tabular-nums}
caption{text-align:left;color:#4a525c;padding-bottom:5px}
th,td{padding:4px 12px 4px 0;text-align:right;white-space:nowrap;vertical-align:top}
th{border-bottom:2px solid #8a929c;font-weight:600}
td{border-bottom:1px solid #e3e7eb}
tr.total td{font-weight:600}
.text{text-align:left;white-space:normal;max-width:62ch;overflow-wrap:break-word}
.none{color:#4a525c}
pre{font-size:13px;background:#f5f7f9;padding:10px 12px;border-radius:6px;overflow-x:auto;white-space:pre-wrap}
@media print{nav{display:none}body{max-width:none;padding:0}figure,tr{break-inside:avoid}details{border:0;padding:0}}
"""
