"""Particle gates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from spyral_core.errors import ConfigurationError
from spyral_core.fitting.gate import load_gate, parse_gate

SQUARE = {"name": "p", "vertices": [[0, 0], [2, 0], [2, 1], [0, 1], [0, 0]], "Z": 1, "A": 1}


def test_a_gate_selects_what_lies_in_its_polygon() -> None:
    gate = parse_gate(SQUARE, "p")
    x, y = np.array([1.0, 3.0, 1.0, -0.1]), np.array([0.5, 0.5, 1.5, 0.5])
    assert gate.contains(x, y).tolist() == [True, False, False, False]


def test_any_polygon_selects_what_matplotlib_says() -> None:
    generator = np.random.default_rng(7)
    for _ in range(20):
        vertices = generator.uniform(size=(8, 2))
        gate = parse_gate({**SQUARE, "vertices": vertices.tolist()}, "p")
        points = generator.uniform(size=(500, 2))
        twin = Polygon(np.vstack([vertices, vertices[:1]])).contains_points(points)
        # matplotlib counts windings: both rules agree where the polygon does not cross itself
        winding_two = twin & ~gate.contains(*points.T)
        assert not (gate.contains(*points.T) & ~twin).any()
        assert winding_two.mean() < 0.5


@pytest.mark.parametrize("axis", [{}, {"xaxis": "DefaultAxis", "yaxis": "DefaultAxis"}, {"xaxis": "dEdx"}])
def test_default_axes_are_energy_loss_and_rigidity(axis: dict[str, str]) -> None:
    gate = parse_gate({**SQUARE, **axis}, "p")
    assert (gate.xaxis, gate.yaxis) == ("dEdx", "brho")


def test_one_named_axis_is_enough() -> None:
    assert parse_gate({**SQUARE, "xaxis": "sqrt_dEdx"}, "p").xaxis == "sqrt_dEdx"


def test_an_open_polygon_is_closed() -> None:
    gate = parse_gate({**SQUARE, "vertices": SQUARE["vertices"][:-1]}, "p")  # type: ignore[index]
    assert gate.vertices.tolist() == SQUARE["vertices"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"xaxis": "speed"}, "no column"),
        ({"vertices": [[0, 0], [1, 1]]}, "three"),
        ({"vertices": [[0, 0], [1, 1], [2, "a"]]}, "could not convert"),
        ({"Z": 0}, "Z must be"),
        ({"A": 77}, "no isotope"),
    ],
)
def test_a_wrong_gate_file_is_named_with_its_fault(tmp_path: Path, change: dict[str, object], fault: str) -> None:
    path = tmp_path / "proton.json"
    path.write_text(json.dumps({**SQUARE, **change}))
    with pytest.raises(ConfigurationError, match=r"proton\.json") as error:
        load_gate(path)
    assert fault in str(error.value)


def test_a_gate_without_particle_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "proton.json"
    path.write_text(json.dumps({"vertices": SQUARE["vertices"], "Z": 1}))
    with pytest.raises(ConfigurationError, match="lacks the key 'A'"):
        load_gate(path)
