"""Samples of particles that are known by name.

A preset is one entry of `_PRESETS` and one word of `pipeline.config.generator.Preset`. Their boxes are the detector's,
whichever it is; energies suit detectors of a metre or so.
"""

from __future__ import annotations

from functools import cache

from ..config.generator import FACES, Block, Generator, Preset, Species

_MUONS, _PROTON = (13, -13), (2212,)


def _muons_and_protons() -> Generator:
    """Muons of 1 GeV from the border, whose dE/dx is nearly the same everywhere, and protons that stop."""
    return Generator(
        events=32,
        blocks={
            "muons": _crossing_muons(4),
            "protons": _inside(_PROTON, (100.0, 300.0), 4),
        },
    )


def _muon_1gev() -> Generator:
    """The muons of arXiv:2309.04639: 1 GeV, from the detector's border."""
    return Generator(events=100, blocks={"muons": _crossing_muons(10)})


def _mixed() -> Generator:
    """The mixed sample of arXiv:2309.04639: two vertices of one particle near each face.

    Read off the published energy deposits: species alike, momenta flat from 100 MeV/c (the slowest of 296 protons has
    5.4 MeV, of 295 muons 40 MeV) to 2 GeV/c (34 protons below 60 MeV stop inside; expected are 34), the angle to the
    beam axis flat, also outwards.
    """
    species = (Species(pdg=(13, 211, -211, 2212), momentum_mev=(100.0, 2000.0)),)
    return Generator(
        events=100,
        blocks={
            face: Block(
                vertices=(2, 2),
                species=species,
                position="faces",
                faces=(face,),
                shell_cm=2.0,
                direction="flat_theta",
                inward=False,
            )
            for face in FACES
        },
    )


def _stopping_proton() -> Generator:
    """Protons that start inside and stop there, most of them."""
    return Generator(events=150, blocks={"protons": _inside(_PROTON, (100.0, 300.0), 6)})


def _stopping_muon() -> Generator:
    """Muons of both charges that start inside and stop there, most of them."""
    return Generator(events=150, blocks={"muons": _inside(_MUONS, (30.0, 150.0), 6)})


def _cosmic_muon() -> Generator:
    """Muons from above as at sea level; 1.28 mu+ to a mu- (CMS, Phys. Lett. B 692 (2010) 83)."""
    energy = (200.0, 1.0e5)
    species = tuple(
        Species(pdg=(code,), kinetic_energy_mev=energy, spectrum="cosmic", weight=weight)
        for code, weight in ((-13, 1.28), (13, 1.0))
    )
    muons = Block(vertices=(5, 5), species=species, position="border", direction="cosmic")
    return Generator(events=100, blocks={"muons": muons})


def _every_species() -> Generator:
    """Each species as often inside as from the border, with energies at which it stops and at which it does not."""
    electrons = Species(pdg=(11, -11), kinetic_energy_mev=(10.0, 400.0))
    hadrons_and_muons = (_MUONS, (211, -211), _PROTON, (321, -321))
    inside = ((30.0, 300.0), (30.0, 300.0), (50.0, 350.0), (30.0, 300.0))
    border = ((50.0, 1500.0), (50.0, 1200.0), (80.0, 700.0), (80.0, 700.0))

    def kinds(energies: tuple[tuple[float, float], ...]) -> tuple[Species, ...]:
        both = zip(hadrons_and_muons, energies, strict=True)
        return (*(Species(pdg=pdg, kinetic_energy_mev=energy) for pdg, energy in both), electrons)

    return Generator(
        events=100,
        blocks={
            "inside": Block(vertices=(5, 5), species=kinds(inside), margin_cm=3.0),
            "border": Block(vertices=(5, 5), species=kinds(border), position="border", direction="isotropic"),
        },
    )


_PRESETS = {
    "muons_and_protons": _muons_and_protons,
    "muon_1gev": _muon_1gev,
    "mixed": _mixed,
    "stopping_proton": _stopping_proton,
    "stopping_muon": _stopping_muon,
    "cosmic_muon": _cosmic_muon,
    "every_species": _every_species,
}


@cache
def preset(name: Preset) -> Generator:
    """The blocks and the number of events of a preset."""
    return _PRESETS[name]()


def _crossing_muons(vertices: int) -> Block:
    """Muons of 1 GeV on the surface of the detector, isotropic in the half that points in."""
    return Block(
        vertices=(vertices, vertices),
        species=(Species(pdg=_MUONS, kinetic_energy_mev=(1000.0, 1000.0)),),
        position="border",
        direction="isotropic",
    )


def _inside(pdg: tuple[int, ...], energy: tuple[float, float], vertices: int) -> Block:
    """Particles that start at least 5 cm from every face."""
    return Block(vertices=(vertices, vertices), species=(Species(pdg=pdg, kinetic_energy_mev=energy),), margin_cm=5.0)
