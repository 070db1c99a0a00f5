"""Settings of the particle generator and of the transport of its particles.

The vocabulary is DLPGenerator's (https://github.com/DeepLearnPhysics/DLPGenerator): named blocks that throw vertices,
and species at each vertex. Positions are in the simulation frame: x and y on the anode plane, z along the drift.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from .section import Name, NotNegative, Positive, Section

#: Particles that can be transported: e-, e+, mu-, mu+, photon, pi+, pi-, K+, K-, p.
TRANSPORTABLE = (11, -11, 13, -13, 22, 211, -211, 321, -321, 2212)

#: Kinetic energies [MeV] that can be transported, and the lowest one of protons.
ENERGY_LIMITS = (0.05, 1.0e5)
LOWEST_PROTON_ENERGY = 1.0

#: More particles than this in one event, which is followed as a whole (muons of 1 GeV: 2 GB), are refused.
MOST_PARTICLES = 20_000

#: Samples that are known by name (`pipeline.produce.presets`).
Preset = Literal[
    "muons_and_protons", "muon_1gev", "mixed", "stopping_proton", "stopping_muon", "cosmic_muon", "every_species"
]

#: The sample where none is named.
DEFAULT_PRESET: Preset = "muons_and_protons"

#: Faces of a box: the lower and the upper one in x, y and z.
Face = Literal["x_low", "x_high", "y_low", "y_high", "z_low", "z_high"]
FACES: tuple[Face, ...] = get_args(Face)

#: Laws of direction that have a name.
Law = Literal["isotropic", "isotropic_flux", "flat_theta", "cosmic"]

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Vector = tuple[Finite, Finite, Finite]


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if low > high:
        raise ValueError(f"the range [{low:g}, {high:g}] is upside down; give its lower end first")
    return ends


Range = Annotated[tuple[Finite, Finite], AfterValidator(_ordered)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]
CountRange = Annotated[tuple[Count, Count], AfterValidator(_ordered)]


def _direction(value: Any, handler: ValidatorFunctionWrapHandler) -> Law | Vector:
    """A law or a vector; one sentence instead of the complaints of both alternatives."""
    try:
        # A wrapped validator sees lists, which strict validation does not take for tuples.
        direction: Law | Vector = handler(tuple(value) if isinstance(value, list) else value)
    except ValidationError as error:
        laws = ", ".join(get_args(Law))
        raise ValueError(f"{value!r:.60} is no direction; choose one of {laws}, or give a vector [x, y, z]") from error
    if not isinstance(direction, str) and not any(direction):
        raise ValueError("the vector [0, 0, 0] points nowhere; give a vector of any other length")
    return direction


Direction = Annotated[Law | Vector, WrapValidator(_direction)]


class Species(Section):
    """One kind of particle at a vertex."""

    pdg: tuple[int, ...] = Field(description="PDG codes, equally likely")
    number: CountRange | None = Field(
        None, description="least and most of this kind at a vertex; null: none to as many as the vertex has"
    )
    kinetic_energy_mev: PositiveRange | None = Field(None, description="range of kinetic energy [MeV] ...")
    momentum_mev: PositiveRange | None = Field(None, description="... or of momentum [MeV/c]; one of the two")
    spectrum: Literal["flat", "cosmic"] = Field(
        "flat", description="density in this range; cosmic: that of muons at sea level (kinetic energy only)"
    )
    weight: NotNegative = Field(1.0, description="relative frequency beyond the least numbers")

    @model_validator(mode="after")
    def _possible(self) -> Species:
        if not self.pdg:
            raise ValueError("pdg is empty; give the PDG code of a particle")
        for code in self.pdg:
            if code not in TRANSPORTABLE:
                raise ValueError(f"{_cannot(code)}; choose from {', '.join(map(str, TRANSPORTABLE))}")
        if len(set(self.pdg)) != len(self.pdg):
            raise ValueError("pdg lists a code twice; use weights to make a particle more frequent")
        if (self.kinetic_energy_mev is None) == (self.momentum_mev is None):
            both = "both are given" if self.momentum_mev is not None else "neither is given"
            raise ValueError(f"a species needs kinetic_energy_mev or momentum_mev, and {both}; keep one of them")
        if self.number is not None and self.number[1] == 0:
            raise ValueError("number [0, 0] means that there is never such a particle; leave the species out")
        if self.spectrum == "cosmic":
            if self.momentum_mev is not None:
                raise ValueError("spectrum cosmic is a spectrum of kinetic energy; give kinetic_energy_mev")
            if not set(self.pdg) <= {13, -13}:
                raise ValueError("spectrum cosmic is the spectrum of muons; give pdg 13 and -13 only")
        for code in self.pdg:
            self._energies(code)
        return self

    def _energies(self, code: int) -> None:
        least, most = energy_limits(code)
        key, ends = "kinetic_energy_mev", self.kinetic_energy_mev
        if ends is None and self.momentum_mev is not None:
            from ..matter.particles import mass

            key, m = "momentum_mev", mass(code)
            low, high = (float((p * p + m * m) ** 0.5 - m) for p in self.momentum_mev)
            ends = low, high
        if ends is not None and (ends[0] < least * (1 - 1e-9) or ends[1] > most * (1 + 1e-9)):
            raise ValueError(
                f"{key} means {ends[0]:g} to {ends[1]:g} MeV of kinetic energy for PDG {code}, which can be "
                f"transported from {least:g} to {most:g} MeV; choose within"
            )


class Block(Section):
    """Vertices of one sort: how many in an event, where, when, and what leaves them."""

    vertices: CountRange = Field((1, 1), description="vertices in an event")
    particles: CountRange = Field((1, 1), description="particles at a vertex")
    species: tuple[Species, ...] = Field(description="kinds of particles")
    position: Literal["box", "border", "faces"] = Field(
        "box", description="in the box, on its surface, or in a shell inside its faces, uniformly"
    )
    x_cm: Range | None = Field(None, description="the box in x, on the anode plane [cm]; null: the detector's")
    y_cm: Range | None = Field(None, description="in y, on the anode plane and up [cm]")
    z_cm: Range | None = Field(None, description="in z, along the drift [cm]")
    margin_cm: NotNegative = Field(0.0, description="kept free inside the detector's faces where a range is null")
    faces: tuple[Face, ...] = Field((), description="border, faces: faces of the box that are used; empty: all")
    shell_cm: Positive | None = Field(None, description="faces: thickness of the shell")
    time_us: Range = Field((0.0, 0.0), description="time of the vertex after the start of its event")
    direction: Direction = Field("isotropic", description="law of direction, or a vector [x, y, z]")
    inward: bool = Field(
        True, description="border, faces with isotropic, flat_theta: mirror directions that point out of the box"
    )

    @property
    def most_particles(self) -> int:
        """Most particles in an event."""
        return self.vertices[1] * self.particles[1]

    @model_validator(mode="after")
    def _consistent(self) -> Block:
        if not self.species:
            raise ValueError("species is empty; give at least one kind of particle")
        if not self.most_particles:
            key = "vertices" if not self.vertices[1] else "particles"
            raise ValueError(f"{key} [0, 0] leave no particle in any event; raise it or leave the block out")
        self._numbers()
        self._place()
        return self

    def _numbers(self) -> None:
        """Refuse numbers of species that do not fit the numbers of particles."""
        least, most = self.particles
        needed = sum(s.number[0] for s in self.species if s.number is not None)
        if needed > least:
            raise ValueError(
                f"species need {needed} particles at least (number), which is more than the {least} that a vertex may "
                f"have (particles: [{least}, {most}]); lower the one or raise the other"
            )
        if not any(s.weight for s in self.species) and needed < most:
            raise ValueError("all weights of species are 0, so none can be drawn; give one of them a weight")
        allowed = sum((s.number[1] if s.number else most) if s.weight else (s.number or (0,))[0] for s in self.species)
        if allowed < most:
            raise ValueError(
                f"species allow {allowed} particles at most (number, weight), which is less than the {most} that a "
                f"vertex may have (particles: [{least}, {most}]); raise the one or lower the other"
            )

    def _place(self) -> None:
        """Refuse a position and a direction that contradict each other."""
        if (self.position == "faces") != (self.shell_cm is not None):
            needs = "needs" if self.position == "faces" else "does not use"
            raise ValueError(f"position {self.position} {needs} shell_cm; give it with position faces, and only there")
        if self.faces and self.position == "box":
            raise ValueError("position box does not use faces; choose position border or faces")
        if not self.inward and (self.position == "box" or self.direction not in ("isotropic", "flat_theta")):
            raise ValueError(
                "inward false is for position border or faces with direction isotropic or flat_theta; leave it out"
            )
        if len(set(self.faces)) != len(self.faces):
            raise ValueError("faces lists one of them twice; keep it once")
        if self.direction == "isotropic_flux" and self.position != "border":
            raise ValueError("direction isotropic_flux is a flux through a surface; choose position border")


class Generator(Section):
    """Particles at the start of a simulation: a preset, a file of DLPGenerator, or blocks."""

    preset: Preset | None = Field(None, description=f"sample by name; null: {DEFAULT_PRESET}, without file and blocks")
    dlp_file: str | None = Field(None, description="YAML file of DLPGenerator (mm, ns, GeV, frame of edep-sim)")
    dlp_direction: Literal["flat_theta", "isotropic"] = Field(
        "flat_theta", description="law of direction of dlp_file: flat_theta before its version 1.1, isotropic since"
    )
    blocks: dict[Name, Block] = Field(default_factory=dict, description="blocks of vertices, by name")
    events: Annotated[int, Field(ge=1)] | None = Field(
        None, description="number of events; null: the preset's, 100 for a file and blocks"
    )

    @model_validator(mode="after")
    def _one(self) -> Generator:
        given = [key for key in ("preset", "dlp_file", "blocks") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given together; each describes a whole sample, keep one")
        total = sum(block.most_particles for block in self.blocks.values())
        if total > MOST_PARTICLES:
            raise ValueError(
                f"blocks throw up to {total} particles in an event, above {MOST_PARTICLES}; lower vertices or particles"
            )
        return self

    @property
    def name(self) -> str:
        """The preset, or `generated`."""
        return "generated" if self.blocks or self.dlp_file else self.preset or DEFAULT_PRESET


class Transport(Section):
    """How particles of the generator are followed through the argon."""

    step_cm: Annotated[float, Field(ge=0.01, allow_inf_nan=False)] = Field(
        0.5, description="longest step, and so the longest deposit; in shorter ones losses have no Landau distribution"
    )
    production_cut_mev: Annotated[float, Field(ge=0.01, allow_inf_nan=False)] = Field(
        0.273, description="electrons above this energy are tracks of their own"
    )
    merge_cm: NotNegative = Field(0.3, description="edep-sim's rule of joining steps; 0: every step is a deposit")
    hadronic: bool = Field(True, description="nuclear interactions of hadrons")


def energy_limits(pdg_id: int) -> tuple[float, float]:
    """Lowest and highest kinetic energy [MeV] at which a particle can be transported."""
    return (LOWEST_PROTON_ENERGY if pdg_id == 2212 else ENERGY_LIMITS[0]), ENERGY_LIMITS[1]


def _cannot(pdg_id: int) -> str:
    """Why a particle cannot be transported."""
    from ..matter.particles import charge, name_of

    name = name_of(pdg_id)
    if name is None:
        return f"there is no particle with PDG code {pdg_id}"
    why = "is neutral and leaves no track" if charge(pdg_id) == 0 else "cannot be transported"
    return f"{name} (PDG {pdg_id}) {why}"
