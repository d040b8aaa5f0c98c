"""What is to be simulated: the analysis' own configuration, with single particles on a grid in place of its traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod
from pathlib import Path
from typing import Any

from spyral_core import inputs
from spyral_core.acceptance.files import SIMULATED
from spyral_core.config import Configuration, validate
from spyral_core.config.analysis import Solver
from spyral_core.config.simulation import SimulatedElectronics, SimulatedParticles, Simulation
from spyral_core.errors import ConfigurationError
from spyral_core.fitting.gate import load_gate
from spyral_core.physics.gas import load_gas
from spyral_core.physics.nuclei import nuclear_mass, symbol

Nucleus = tuple[int, int]

ENERGIES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 15.0, 20.0, 30.0, 40.0)  # MeV
ANGLE_STEP = 10.0  # deg
N_VERTICES = 5
TRACKS = 20  # a cell
EVENTS_OF_A_RUN = 500  # about; at least one of each cell
AFTER_TRIGGER = 100  # FRIB TB after `ic_delay_time_bucket` at which the beam's pulse stands
IC_LARGEST = 60000.0  # ADC, of a simulated pulse


@dataclass(frozen=True)
class Request:
    """What is asked for: a gate, or a species without a gate; edges of the cells [MeV, deg, mm], tracks a cell.

    None: what the configuration has in `simulate.particles`, else the defaults of this module.
    """

    gate: Path | None = None
    species: Nucleus | None = None
    energies: Sequence[float] | None = None
    angles: Sequence[float] | None = None
    vertices: Sequence[float] | None = None
    tracks: int = TRACKS


@dataclass(frozen=True)
class Plan:
    """A complete configuration of the simulation, what is simulated, and by which gate it is looked for, if any."""

    configuration: Configuration
    nucleus: Nucleus
    gate: Path | None

    @property
    def simulation(self) -> Simulation:
        assert self.configuration.simulate is not None
        return self.configuration.simulate

    @property
    def particles(self) -> SimulatedParticles:
        assert self.simulation.particles is not None
        return self.simulation.particles


def plan(configuration: Configuration, request: Request, folder: Path) -> Plan:
    """The configuration that simulates what is asked for, with results in `folder`.

    Raises ConfigurationError if there is no solver, gate, species or reaction, or a cell cannot be reached.
    """
    if configuration.solver is None:
        raise ConfigurationError("acceptance: needs the section solver: it names the gas, and fits the tracks")
    nucleus, gate = _particle(configuration.solver, request)
    values = configuration.model_dump(mode="json")
    values["simulate"] = _simulation(configuration, configuration.solver)
    values["simulate"]["particles"] = _grid(configuration, nucleus, request)
    values["simulate"] |= _amount(values["simulate"]["particles"], request.tracks)
    values["simulate"]["beam"] |= {"pile_up": 0.0, "contaminant": 0.0, "downscaled": 0.0, "both_triggers": 0.0}
    values["solver"] |= {"gates": [str(gate)]} | {"species": []} if gate else {"gates": []}
    values |= {
        "results": str(folder / SIMULATED),
        "traces": None,
        "runs": f"1-{values['simulate']['runs']}",
        "skip_runs": [],
        "max_rejected_share": 1.0,  # what cannot be analysed is what is asked for
    }
    if configuration.simulate is None:  # what belongs to the measured pads and traces
        values["legacy_ic"] = None
        values["detector"]["garfield_file"] = None
        values["pads"] |= {"time_correction": None, "gain_correction": None, "electronics": None}
    found = Plan(validate(values, "acceptance"), nucleus, gate)
    _check_reach(found)
    return found


def _particle(solver: Solver, request: Request) -> tuple[Nucleus, Path | None]:
    if request.species is not None:
        _known(request.species)
        if request.species not in solver.species:
            listed = ", ".join(symbol(*nucleus) for nucleus in solver.species) or "none"
            raise ConfigurationError(
                f"acceptance: {symbol(*request.species)} is not among the nuclei that solver.species tells apart "
                f"({listed}): list it there, or give a gate with --gate"
            )
        return request.species, None
    if request.gate is not None:
        path = inputs.existing(request.gate, "--gate")
    elif len(solver.gates) == 1:
        path = next(iter(inputs.gates(solver.gates).values()))
    else:
        state = f"has {len(solver.gates)} gates" if solver.gates else "has no gate"
        raise ConfigurationError(
            f"acceptance: the configuration {state}: say by --gate FILE with which one, or by --species Z A that "
            "solver.species is to tell the particle"
        )
    gate = load_gate(path)
    return (gate.Z, gate.A), path


def _known(nucleus: Nucleus) -> None:
    try:
        nuclear_mass(*nucleus)
    except ValueError as error:
        raise ConfigurationError(f"acceptance: {error}") from None


def _simulation(configuration: Configuration, solver: Solver) -> dict[str, Any]:
    """The section `simulate`: as it is, or for measured data the analysis' own numbers, else the defaults."""
    if configuration.simulate is not None:
        return configuration.simulate.model_dump(mode="json")
    if configuration.reaction is None:
        raise ConfigurationError(
            "acceptance: the configuration has no reaction: it is needed for the beam that comes to the vertex"
        )
    detector, length = configuration.detector, configuration.detector.detector_length
    shared = ("magnetic_field", "electric_field", "detector_length", "micromegas_time_bucket", "window_time_bucket")
    values: dict[str, Any] = {
        "gas": solver.gas,
        "reaction": configuration.reaction.model_dump(mode="json")
        | {"beam_spot": solver.beam_spot, "vertex_min": 0.0, "vertex_max": length},
        "detector": {name: getattr(detector, name) for name in (*shared, "get_frequency")}
        | {"diffusion_voltage": solver.diffusion_voltage, "longitudinal_diffusion_voltage": solver.diffusion_voltage}
        | {"scattering": solver.scattering, "straggling": solver.scattering},
        "electronics": {
            "shaping_time": 1e3 * configuration.get.shaping_time / detector.get_frequency,
            **_ion_chamber(solver),
            "trigger_time_bucket": configuration.frib.ic_delay_time_bucket + AFTER_TRIGGER,
        },
    }
    whole = validate({"simulate": values}, "acceptance, the simulation of measured data").simulate
    assert whole is not None
    return whole.model_dump(mode="json")


def _ion_chamber(solver: Solver) -> dict[str, float]:
    """A pulse in the middle of the solver's bounds: what these cut off is lost to the counted beam, too."""
    default, width = SimulatedElectronics(), solver.ic_max_val - solver.ic_min_val
    middle = 0.5 * (solver.ic_min_val + solver.ic_max_val)
    if solver.ic_min_val < 0.0 or middle > IC_LARGEST:  # no bounds to speak of
        return {}
    return {
        "ion_chamber_amplitude": middle,
        "ion_chamber_spread": min(default.ion_chamber_spread, width / 8.0 / middle),
    }


def _grid(configuration: Configuration, nucleus: Nucleus, request: Request) -> dict[str, Any]:
    given = configuration.simulate.particles if configuration.simulate else None
    length = configuration.detector.detector_length
    default: dict[str, Sequence[float]] = {
        "energies": ENERGIES,
        "angles": [ANGLE_STEP * step for step in range(round(180 / ANGLE_STEP) + 1)],
        "vertices": [length * step / N_VERTICES for step in range(N_VERTICES + 1)],
    }
    grid = {
        name: list(getattr(request, name) or (getattr(given, name) if given else default[name])) for name in default
    }
    return {"nucleus": list(nucleus), **grid}


def _amount(grid: dict[str, Any], tracks: int) -> dict[str, int]:
    """Runs and events: every run goes through all cells, as often as makes about EVENTS_OF_A_RUN."""
    cells = prod(max(len(grid[name]) - 1, 1) for name in ("energies", "angles", "vertices"))
    runs = ceil(tracks / max(EVENTS_OF_A_RUN // cells, 1))
    return {"runs": runs, "events": cells * ceil(tracks / runs)}


def _check_reach(found: Plan) -> None:
    """Cells that no track can come back from are a mistake, not an efficiency."""
    solver, grid = found.configuration.solver, found.particles
    assert solver is not None
    for name, low, high, keys in (
        ("energies", solver.interp_ke_min, solver.interp_ke_max, "solver.interp_ke_min … interp_ke_max"),
        ("angles", solver.interp_polar_min, solver.interp_polar_max, "solver.interp_polar_min … interp_polar_max"),
    ):
        beyond = [cell for cell in pairwise(getattr(grid, name)) if cell[1] <= low or cell[0] >= high]
        if beyond:
            first, last = beyond[0]
            raise ConfigurationError(
                f"acceptance: {name}: the cell {first:g} … {last:g} lies beyond what is fitted ({keys}: "
                f"{low:g} … {high:g})"
            )
    reaction = found.simulation.reaction
    beam = load_gas(found.simulation.gas).stopping(*reaction.projectile)
    reach = float(beam.range(reaction.beam_energy))
    if reach <= grid.vertices[-1]:
        raise ConfigurationError(
            f"acceptance: vertices: the beam, {symbol(*reaction.projectile)} of {reaction.beam_energy:g} MeV, stops at "
            f"z = {reach:.0f} mm, before {grid.vertices[-1]:g} mm"
        )
