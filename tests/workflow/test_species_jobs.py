"""Listed species add jobs of their own, and leave those of the gates alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from .conftest import CONFIGURATION, Workspace

OWN = {"hypotheses": 2, "species": 2, "report": 1}


def with_species(*species: list[int]) -> dict[str, Any]:
    configuration: dict[str, Any] = copy.deepcopy(CONFIGURATION)
    configuration["solver"]["species"] = list(species)
    return configuration


def test_listing_species_reruns_no_gate(workspace: Workspace) -> None:
    workspace.configure(with_species([1, 1], [1, 2]))
    assert workspace.planned() == OWN


def test_species_need_no_gate(empty: Workspace) -> None:
    configuration = with_species([1, 1])
    configuration["solver"]["gates"] = []
    empty.configure(configuration)
    stages = ("simulate", "survey", "pointcloud", "cluster", "estimate", "hypotheses", "species")
    assert empty.planned() == dict.fromkeys(stages, 2) | {"report": 1}


@pytest.mark.slow
def test_what_changes_species_and_what_does_not(workspace: Workspace) -> None:
    workspace.configure(with_species([1, 1], [1, 2]))
    for product in workspace.snakemake("--summary").stdout.splitlines()[1:]:
        path = workspace.folder / product.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert workspace.snakemake("--touch", "--forceall").returncode == 0
    assert workspace.planned() == {}
    gate = workspace.folder / "inputs/deuteron.json"
    text = gate.read_text()
    gate.write_text(text.replace("10]", "11]"))
    assert workspace.planned() == {"solve": 2, "report": 1}
    gate.write_text(text)
    workspace.configure(with_species([1, 1], [2, 4]))
    assert workspace.planned() == OWN


def test_a_gate_named_species_is_refused(empty: Workspace) -> None:
    (empty.folder / "inputs/deuteron.json").rename(empty.folder / "inputs/species.json")
    configuration = copy.deepcopy(CONFIGURATION)
    configuration["solver"]["gates"] = ["inputs/species.json"]
    empty.configure(configuration)
    done = empty.snakemake("--dry-run")
    assert done.returncode != 0
    assert "inputs/species.json would write solver/species" in done.stdout + done.stderr
