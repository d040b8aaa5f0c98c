"""What `acceptance` refuses, and what the report shows of a map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from spyral_core.acceptance import files
from spyral_core.cli import main
from spyral_core.config import load
from spyral_core.report import acceptance
from spyral_core.report.page import Picture

ROOT = Path(__file__).parents[2]
GAS = str(ROOT / "config/gas/deuterium_600torr.json")
ALL = [[0, 0], [1e9, 0], [1e9, 10], [0, 10]]


def written(tmp_path: Path, **changes: Any) -> Path:
    (tmp_path / "all.json").write_text(json.dumps({"vertices": ALL, "Z": 1, "A": 2}))
    solver = {"gas": GAS, "gates": [str(tmp_path / "all.json")]}
    reaction = {"projectile": [4, 10], "beam_energy": 96.0}
    values = {"results": str(tmp_path / "results"), "simulate": {"gas": GAS, "reaction": reaction}, "solver": solver}
    values |= changes
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


MANY = {"gas": GAS, "gates": ["one.json", "two.json"]}
REFUSED: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "no solver": ({"solver": None}, [], "needs the section solver"),
    "no gate": ({"solver": {"gas": GAS}}, [], "has no gate: say by --gate FILE"),
    "several gates": ({"solver": MANY}, [], "has 2 gates: say by --gate FILE"),
    "no such gate": ({}, ["--gate", "nowhere.json"], "--gate: no such file"),
    "no such nucleus": ({}, ["--species", "1", "90"], "no isotope with Z = 1, A = 90"),
    "species that is not told apart": ({}, ["--species", "1", "1"], "1H is not among the nuclei"),
    "energies above those that are fitted": ({}, ["--energies", "60", "80", "90"], "the cell 80 … 90 lies beyond"),
    "energies below those that are fitted": ({}, ["--energies", "0.01", "0.05", "2"], "the cell 0.01 … 0.05 lies"),
    "energies that do not ascend": ({}, ["--energies", "5", "2"], "two or more ascending edges"),
    "a single edge": ({}, ["--angles", "60"], "two or more ascending edges"),
    "angles beyond 180": ({}, ["--angles", "90", "190"], "angles must lie between 0 and 180"),
    "vertices outside": ({}, ["--vertices", "500", "1500"], "must not be above detector.detector_length"),
    "measured data without a reaction": ({"simulate": None, "traces": "."}, [], "the configuration has no reaction"),
    "a beam that stops before": (
        {"simulate": {"gas": GAS, "reaction": {"projectile": [4, 10], "beam_energy": 25.0}}},
        [],
        "stops at z = ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_simulated_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes, arguments, message = REFUSED[name]
    assert main(["acceptance", "--config", str(written(tmp_path, **changes)), "--plan", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_a_plan_lies_with_the_results_unless_said_otherwise(tmp_path: Path) -> None:
    config = str(written(tmp_path))
    assert main(["acceptance", "--config", config, "--plan", "--tracks", "2"]) == 0
    found = load(tmp_path / "results" / "acceptance" / "config.yaml")
    assert found.results == str(tmp_path / "results" / "acceptance" / "simulated")
    assert main(["acceptance", "--config", config, "--plan", "--tracks", "2", "-o", str(tmp_path / "own")]) == 0
    assert (tmp_path / "own" / "config.yaml").is_file()


def a_map(results: Path) -> dict[str, Any]:
    """A map as the report finds it."""
    folder = results / files.FOLDER
    folder.mkdir(parents=True)
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(folder / files.MAP_FIGURE)
    summary: dict[str, Any] = {
        "title": "2H, gate <d>: 600 torr, 3 T",
        "totals": {"generated": 1000},
        "efficiency": [0.8, 0.787, 0.812],
        "cuts": {"energy": 0.2, "polar": 5.0, "trigger_pads": 1},
        "detector": {"magnetic_field": 3.0},
        "solver": {"beam_spot": 5.0},
    }
    (folder / files.SUMMARY).write_text(json.dumps(summary))
    return summary


def test_the_report_shows_a_map_with_its_caption(tmp_path: Path) -> None:
    assert acceptance.parts(tmp_path, {}) == []
    summary = a_map(tmp_path)
    text, figure = acceptance.parts(tmp_path, summary)
    assert isinstance(text, str)
    assert "80.0 %" in text
    assert "gate &lt;d&gt;" in text
    assert isinstance(figure, Picture)
    assert figure.caption.startswith("Share of simulated particles")
    assert figure.source.startswith("data:image/png")


def test_the_report_says_where_a_map_was_made_with_other_values(tmp_path: Path) -> None:
    summary = a_map(tmp_path)
    shown = acceptance.parts(tmp_path, {**summary, "detector": {"magnetic_field": 2.85}})
    assert any("detector.magnetic_field</code>: 3.0, now 2.85" in part for part in shown if isinstance(part, str))


@pytest.mark.parametrize("text", ["{", "[]", '{"totals": {}}'])
def test_a_damaged_map_does_not_stop_the_report(text: str, tmp_path: Path) -> None:
    a_map(tmp_path)
    (tmp_path / files.FOLDER / files.SUMMARY).write_text(text)
    (shown,) = acceptance.parts(tmp_path, {})
    assert isinstance(shown, str)
    assert "cannot be read" in shown
