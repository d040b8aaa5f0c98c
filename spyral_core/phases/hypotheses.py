"""Every track fitted under each species that the configuration lists: docs/solve.md, "Which particle"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from spyral_core.errors import ConfigurationError
from spyral_core.fitting.fit import TrackFit, fit_species
from spyral_core.fitting.settings import FitSettings
from spyral_core.phases.solve import Selected, first_estimate, fit_clusters, open_source, settings_of, solution
from spyral_core.physics.nuclei import nuclear_mass
from spyral_core.runner import Product
from spyral_core.tables import HYPOTHESES

__all__ = ["open_source", "prepare", "process"]


def prepare(files: Mapping[str, Path], parameters: SimpleNamespace) -> list[FitSettings]:
    """What the fit of each species wants. Raises ConfigurationError if none is listed, or one does not exist."""
    if parameters.solver is None or not parameters.solver.species:
        raise ConfigurationError("solver.species: lists no nuclei, so there is nothing to fit without a gate")
    for Z, A in parameters.solver.species:
        try:
            nuclear_mass(Z, A)
        except ValueError as error:
            raise ConfigurationError(f"solver.species: {error}") from None
    return [settings_of(Z, A, files, parameters) for Z, A in parameters.solver.species]


def process(clusters: list[Selected], species: list[FitSettings]) -> Product:
    """Fit the clusters of one event under each species; those that no species fits are rejected."""

    def rows_of(cluster: Selected) -> list[dict[str, Any]]:
        fits = fit_species(cluster.track, first_estimate(cluster.estimate), species)
        return [
            _row(cluster.estimate, fit, settings)
            for fit, settings in zip(fits, species, strict=True)
            if fit is not None and fit.level > 0.0
        ]

    return fit_clusters(clusters, HYPOTHESES, rows_of, "no start leads to a minimum for any species")


def _row(estimate: Mapping[str, Any], fit: TrackFit, settings: FitSettings) -> dict[str, Any]:
    own = {"Z": settings.Z, "A": settings.A, "level": fit.level, "deviance": fit.deviance}
    return {**solution(estimate, fit, settings), **own}
