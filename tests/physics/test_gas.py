"""Gas and stopping tables against pycatima and closed forms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pycatima
import pytest

from spyral_core.errors import ConfigurationError
from spyral_core.physics.gas import energy_loss, load_gas, parse_gas
from spyral_core.physics.motion import ke_and_loss, motion_of, range_of
from spyral_core.physics.nuclei import ATOMIC_MASS_UNIT, nuclear_mass, symbol

DEUTERIUM = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})


def test_density_is_that_of_an_ideal_gas_of_real_molecules() -> None:
    hydrogen = parse_gas({"compound": [[1, 1, 2]], "pressure(Torr)": 760.0})
    # 2.01565 g/mol over the molar volume at 293 K and 1 atm, 24042.8 cm³
    assert hydrogen.density == pytest.approx(2.01565 / 24042.8, rel=1e-5)


def test_a_warmer_gas_is_thinner() -> None:
    gas = {"compound": [[1, 2, 2]], "pressure(Torr)": 600.0}
    cold, warm = parse_gas(gas), parse_gas({**gas, "temperature(K)": 303.0})
    assert cold.density / warm.density == pytest.approx(303 / 293)
    assert warm.stopping(1, 1).range(5.0) == pytest.approx(cold.stopping(1, 1).range(5.0) * 303 / 293, rel=1e-4)


def test_a_mixture_has_the_density_of_its_parts() -> None:
    mixture = parse_gas(
        {"components": [[[1, 1, 4], [6, 12, 1]], [[18, 40, 1]]], "volume_fractions": [0.1, 0.9], "pressure(Torr)": 50.0}
    )
    methane = parse_gas({"compound": [[1, 1, 4], [6, 12, 1]], "pressure(Torr)": 5.0})
    argon = parse_gas({"compound": [[18, 40, 1]], "pressure(Torr)": 45.0})
    assert mixture.density == pytest.approx(methane.density + argon.density, rel=1e-12)


@pytest.mark.parametrize("nucleus", [(1, 1), (1, 2), (2, 4), (6, 16)], ids=lambda nucleus: symbol(*nucleus))
def test_the_table_gives_the_energy_loss_that_pycatima_gives(nucleus: tuple[int, int]) -> None:
    table = DEUTERIUM.stopping(*nucleus)
    for ke in np.geomspace(0.01, 200, 40):
        assert float(table.dedx(ke)) == pytest.approx(energy_loss(DEUTERIUM, *nucleus, ke), rel=2e-4)


@pytest.mark.parametrize("nucleus", [(1, 1), (1, 2), (2, 4)], ids=lambda nucleus: symbol(*nucleus))
def test_differences_of_range_are_those_of_pycatima(nucleus: tuple[int, int]) -> None:
    """Only differences: at the lowest energies pycatima cuts its integral off, we go on to zero."""
    table, number = DEUTERIUM.stopping(*nucleus), nuclear_mass(*nucleus) / ATOMIC_MASS_UNIT
    material = DEUTERIUM.material()

    def pycatima_range(ke: float) -> float:
        projectile = pycatima.Projectile(number, nucleus[0], T=ke / number)
        return float(pycatima.range(projectile, material)) / DEUTERIUM.density * 10

    for low, high in ((0.5, 1.0), (1.0, 5.0), (5.0, 30.0)):
        assert float(table.range(high) - table.range(low)) == pytest.approx(
            pycatima_range(high) - pycatima_range(low), rel=2e-3
        )


def test_range_and_energy_are_inverse_and_kernels_agree_with_the_table() -> None:
    table, motion = DEUTERIUM.stopping(1, 2), motion_of(DEUTERIUM, 1, 2, 3.0, 0.0)
    arguments = (motion.constants, motion.log_ke, motion.slope)
    for ke in np.geomspace(0.01, 200, 40):
        length = float(table.range(ke))
        assert float(table.ke(length)) == pytest.approx(ke, rel=1e-12)
        assert range_of(ke, *arguments) == pytest.approx(length, rel=1e-10)
        assert ke_and_loss(length, *arguments) == pytest.approx((ke, float(table.dedx(ke))), rel=1e-9)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[1, 2]", "JSON object"),
        ("{", "is not JSON"),
        ('{"compound": [[1, 2, 2]]}', "lacks the key"),
        ('{"compound": [[1, 2, 2]], "pressure(Torr)": -1}', "pressure"),
        ('{"compound": [[1, 99, 2]], "pressure(Torr)": 300}', "no isotope"),
        ('{"compound": [[1, 2]], "pressure(Torr)": 300}', "expected"),
        ('{"components": [[[1, 1, 2]]], "volume_fractions": [0.5], "pressure(Torr)": 300}', "add up to 1"),
    ],
)
def test_a_wrong_gas_file_is_named_with_its_fault(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "gas.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"gas\.json") as error:
        load_gas(path)
    assert fault in str(error.value)


def test_a_missing_gas_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json: cannot be read: No such file"):
        load_gas(tmp_path / "none.json")


def test_a_gas_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gas.json"
    path.write_text(json.dumps({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}))
    assert load_gas(path) == DEUTERIUM


def test_nuclear_masses_lack_the_electrons() -> None:
    # CODATA 2018: proton, deuteron, alpha particle
    assert nuclear_mass(1, 1) == pytest.approx(938.27208816, abs=1e-4)
    assert nuclear_mass(1, 2) == pytest.approx(1875.61294257, abs=1e-4)
    assert nuclear_mass(2, 4) == pytest.approx(3727.3794066, abs=2e-4)
