"""Promises to users and to outside checks: the configuration as it was announced is accepted as it stands."""

from __future__ import annotations

import yaml

from spyral_core.config import validate

ANNOUNCED = """
results: results
traces: {traces}
simulate: {simulate}
runs: "94-97, 99"
skip_runs: [95]
detector: {{magnetic_field: 2.85, electric_field: 45000.0, detector_length: 1000.0, beam_region_radius: 25.0,
           micromegas_time_bucket: 10.0, window_time_bucket: 560.0, get_frequency: 6.25, garfield_file: null}}
pads: {{geometry: builtin, scale: builtin, time_correction: null, electronics: null}}
get: {{baseline_window_scale: 20.0, peak_separation: 50.0, peak_prominence: 20.0, peak_max_width: 50.0,
      peak_threshold: 40.0}}
frib: {{baseline_window_scale: 100.0, peak_separation: 50.0, peak_prominence: 20.0, peak_max_width: 500.0,
       peak_threshold: 100.0, ic_delay_time_bucket: 1100, ic_multiplicity: 1, correct_ic_time: true}}
cluster: {{min_cloud_size: 50, outlier_scale_factor: 0.05, direction_threshold: 0.5,
          hdbscan: {{min_points: 3, min_size_scale_factor: 0.05, min_size_lower_cutoff: 10,
                    cluster_selection_epsilon: 10.0}},
          overlap_join: {{min_cluster_size_join: 15, circle_overlap_ratio: 0.5}}, continuity_join: null}}
estimate: {{min_total_trajectory_points: 30, smoothing_factor: 100.0}}
solver: {{gas: gas.json, gates: [p.json, d.json], ic_min_val: 900.0, ic_max_val: 1350.0, fit_method: leastsq,
         n_time_steps: 1000, interp_ke_min: 0.1, interp_ke_max: 70.0, interp_ke_bins: 350, interp_polar_min: 2.0,
         interp_polar_max: 178.0, interp_polar_bins: 350, fit_vertex_rho: true, fit_vertex_phi: true,
         fit_azimuthal: true}}
reaction: null
"""


def test_the_announced_configuration_is_accepted_for_measured_traces() -> None:
    found = validate(yaml.safe_load(ANNOUNCED.format(traces="/data/h5", simulate="null")))
    assert found.cluster.overlap_join is not None
    assert found.cluster.continuity_join is None


def test_the_announced_configuration_is_accepted_for_a_simulation() -> None:
    simulate = "{seed: 1, runs: 2, events: 200, reaction: {}, detector: {}, electronics: {}}"
    found = validate(yaml.safe_load(ANNOUNCED.format(traces="null", simulate=simulate)))
    assert found.simulate is not None
    assert found.simulate.reaction.projectile == (6, 16)


def test_the_announced_defaults_are_the_defaults() -> None:
    announced = yaml.safe_load(ANNOUNCED.format(traces="/data/h5", simulate="null"))
    default = validate({"traces": "/data/h5", "solver": {"gas": "gas.json"}}).model_dump()
    for section in ("detector", "get", "frib", "estimate"):
        assert {key: default[section][key] for key in announced[section]} == announced[section]
    assert default["cluster"]["hdbscan"] == announced["cluster"]["hdbscan"]
