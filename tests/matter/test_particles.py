"""Masses of particles."""

import pytest

from pipeline.matter.particles import mass


@pytest.mark.parametrize(
    ("pdg_id", "expected"), [(13, 105.6584), (-13, 105.6584), (211, 139.5704), (321, 493.677), (2212, 938.2721)]
)
def test_mass_of_the_review_of_particle_physics(pdg_id: int, expected: float) -> None:
    assert mass(pdg_id) == pytest.approx(expected, rel=1e-5)


def test_unknown_particle_is_refused() -> None:
    with pytest.raises(ValueError, match="PDG code 999"):
        mass(999)
