"""Times to medians, spreads, ratios and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def text(self, digits: int = 3) -> str:
        """`1.23 (1.20–1.31)`; the median alone if there was one measurement."""
        shown = [significant(value, digits) for value in (self.median, self.low, self.high)]
        return shown[0] if self.low == self.high else f"{shown[0]} ({shown[1]}–{shown[2]})"


def significant(value: float, digits: int = 3) -> str:
    """A number with some significant digits, never in powers of ten."""
    if value == 0:
        return "0"
    shown = f"{value:.{digits}g}"
    return shown if "e" not in shown else f"{float(shown):.10f}".rstrip("0").rstrip(".")


def ratios(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """Of times measured in turn: the ratios pair by pair, so that a machine that slows down does not count.

    A shorter list is repeated by its median: what takes long is measured less often.
    """
    number = max(len(slow), len(fast))
    filled = [[*times, *[median(times)] * (number - len(times))] for times in (slow, fast)]
    return Spread.of([one / other for one, other in zip(*filled, strict=True)])


def verdict(value: float, target: float, at_least: bool) -> str:
    """How a figure stands to its target: `met (× 1.25)` or `missed (× 0.80)`, above 1 where there is room."""
    room = value / target if at_least else target / value
    return f"{'met' if room >= 1 else '**missed**'} (× {room:.2f})"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, ["---"] * len(header), *rows))
