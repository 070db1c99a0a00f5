"""Energy losses of particles by their PDG code, for perturbations that replace dE/dx.

Apart from the perturbation that uses it, which the configuration imports: its libraries are not for every command.
"""

from __future__ import annotations

import numpy as np

from ..tables import Floats, Ints

#: Lightest particle that loses energy as Bethe's formula says [MeV]: electrons do not.
_LIGHTEST = 10.0


class Losses:
    """Ionisation losses in liquid argon (`pipeline.matter`) of charged particles heavier than electrons."""

    def describes(self, pdg_id: int) -> bool:
        """Whether Bethe's formula holds for the particle: one elementary charge, a known mass, no electron."""
        from ..matter.particles import charge, mass

        try:
            return abs(charge(pdg_id) or 0.0) == 1.0 and mass(pdg_id) > _LIGHTEST
        except ValueError:
            return False

    def least(self, pdg_id: int) -> float:
        """The smallest mean loss [MeV/cm] of the particle at any energy."""
        from ..matter.particles import mass
        from ..matter.stopping import stopping_power

        energy = mass(pdg_id) * np.geomspace(0.5, 50.0, 2000)
        return float(stopping_power(energy, mass(pdg_id)).min())

    def range_at(self, pdg_id: int, momentum: float) -> float:
        """Range [cm] of the particle with `momentum` [MeV/c]."""
        from ..matter.particles import mass
        from ..matter.ranges import range_table

        energy = np.array(np.hypot(momentum, mass(pdg_id)) - mass(pdg_id))
        return float(range_table(mass(pdg_id)).range(energy))

    def loss(self, pdg_id: int, left: Floats, length: Floats, *, most_probable: bool) -> Floats:
        """Energy [MeV] that the particle leaves in layers of `length` that begin `left` before it stops [cm], `(n,)`.

        The mean is `T(R) - T(R - dx)`, 0 where nothing is left. The most probable loss is taken at the energy in the
        middle of the layer; where its formula leaves the range from 0 to the mean, the mean stands.
        """
        from ..matter.particles import mass
        from ..matter.ranges import range_table
        from ..matter.straggling import most_probable_loss

        heavy = mass(pdg_id)
        table = range_table(heavy)
        first, last = table.energy(np.maximum(left, 0.0)), table.energy(np.maximum(left - length, 0.0))
        mean = np.asarray(first - last)
        if not most_probable:
            return mean
        some: Ints = np.flatnonzero((length > 0) & (mean > 0))
        probable = most_probable_loss(0.5 * (first + last)[some], length[some], heavy)
        found = mean.copy()
        found[some] = np.where((probable > 0) & (probable < mean[some]), probable, mean[some])
        return found
