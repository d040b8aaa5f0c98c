"""Kinetic energy against polar angle with the reaction's lines, and the excitation energy."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spyral_core.report import style
from spyral_core.report.reaction import Nucleus, Reaction
from spyral_core.report.truth import median_and_width


def figure(solutions: pl.DataFrame, species: Nucleus, reaction: Reaction | None, title: str) -> Figure:
    """`solutions`: ke [MeV], polar [rad], vertex_z [mm] of the fitted tracks of one species (Z, A)."""
    if solutions.height == 0:
        return style.empty_figure(f"Kinematics · {title}", "no tracks")
    is_ejectile = reaction is not None and species == reaction.ejectile
    plot, axes = style.panels(f"Kinematics · {title}", 4.5, 1, 2, width_ratios=[1.25, 1])
    _energy_against_angle(axes[0], solutions, species, reaction)
    if reaction is not None and is_ejectile:
        _excitation(axes[1], solutions, reaction)
    else:
        _energy(axes[1], solutions)
    return plot


def _energy_against_angle(axes: Axes, solutions: pl.DataFrame, species: Nucleus, reaction: Reaction | None) -> None:
    lines = reaction.lines(species) if reaction else []
    ke, polar = solutions["ke"].to_numpy(), np.degrees(solutions["polar"].to_numpy())
    top = 1.25 * max(style.span(ke, 0.0, 0.99, 0.0)[1], 0.1)
    left, right = style.span(polar, 0.005, 0.995, 0.2)
    style.cloud(axes, polar, ke, (max(left - 5, 0.0), min(right + 5, 180.0)), (0.0, top))
    for number, (label, angle, energy) in enumerate(lines):
        axes.plot(angle, energy, color=style.RED, linewidth=1.6, linestyle=("-", "--")[number % 2], label=label)
    if reaction is not None and lines:
        axes.legend(loc="upper right", title=reaction.name)
    axes.set_title("Energy against angle")
    axes.set_xlabel("polar angle in the laboratory [deg]")
    axes.set_ylabel("kinetic energy [MeV]")


def _excitation(axes: Axes, solutions: pl.DataFrame, reaction: Reaction) -> None:
    values = reaction.excitation_energy(*(solutions[name].to_numpy() for name in ("ke", "polar", "vertex_z")))
    values = values[np.isfinite(values)]
    axes.set_title("Excitation energy (missing mass)")
    if len(values) == 0:
        style.nothing(axes, "no track fits the reaction")
        return
    low, high = style.span(values, 0.03, 0.97, 0.25)
    style.histogram(axes, values, (min(low, -2.0), max(high, 2.0)), 2 * style.bins_for(len(values)))
    median, width = median_and_width(values)
    style.vertical_lines(axes, [reaction.excitation], f"configured: {reaction.excitation:g} MeV")
    if median is not None and width is not None:
        axes.plot([], [], " ", label=f"median {median:.2f} MeV\n68 % within ±{width:.2f} MeV")
    axes.set_ylim(top=1.35 * axes.get_ylim()[1])
    axes.legend(loc="upper right")
    axes.set_xlabel("excitation energy [MeV]")
    axes.set_ylabel("tracks")


def _energy(axes: Axes, solutions: pl.DataFrame) -> None:
    ke = solutions["ke"].to_numpy()
    style.histogram(axes, ke, (0.0, style.span(ke, 0.0, 0.995)[1]), 2 * style.bins_for(len(ke)))
    axes.set_title("Kinetic energy")
    axes.set_xlabel("kinetic energy [MeV]")
    axes.set_ylabel("tracks")
