"""What each figure shows, in a sentence or two. The workflow's captions (workflow/report/*.rst) hold the same words."""

from __future__ import annotations

CAPTIONS: dict[str, str] = {
    "flow": "Events and tracks that reach each phase, summed over all runs, and the most frequent reasons for which "
    "events or clusters were rejected.",
    "event_display": "The event whose fitted track has the most points, among the better half by χ². Left: charge on "
    "the pads, outlined by cluster. Right: drift against transverse; grey points belong to no cluster. Black: the "
    "fitted trajectory from its vertex to where it stops or leaves the gas.",
    "particle_identification": "Left: the tracks in the axes of the particle gates, with the gates; dashed: where "
    "stopping powers put particles. Right: magnetic rigidity against polar angle, with the reaction's line.",
    "kinematics": "Left: fitted kinetic energy against polar angle, with the reaction's kinematic line. Right: the "
    "excitation energy of the fourth nucleus from each track's energy and angle (missing mass).",
    "vertices": "Fitted reaction vertices across the beam, along it, and their distance from the axis.",
    "fit_quality": "χ² per degree of freedom, the standard deviations that the fit gives, points used, and what became "
    "of the estimates. Not selected: outside the gate or the ion chamber's bounds.",
    "truth": "Fitted minus true energy, polar angle and vertex z of clean simulated particles, and the shares solved "
    "and solved closely, by band of true energy (grey: particles in the band). Dotted: 20 % and 5°.",
    "ion_chamber": "Amplitude of the good ion-chamber pulse with the solver's bounds, number of pulses from the "
    "trigger on, and the time of the good pulse.",
    "masked_pads": "Pads that the survey found to be noisy, to repeat one charge or to be dead: left out of the point "
    "clouds, and not taken for silent in the fit.",
}
