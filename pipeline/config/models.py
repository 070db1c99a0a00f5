"""The configuration: the single source of every setting, its default, its unit and its explanation.

`config.yaml` and `workflow/schemas/config.schema.json` are generated from these models (`pipeline.config.generate`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..names import nearest
from ..parameters import check_values
from ..perturb.base import check_independent
from ..perturb.contamination import Contamination
from ..perturb.registry import KINDS, AnyPerturbation
from .bound import Bound
from .cross_check import Bootstrap, PseudoCorrelation
from .data import Data
from .edep_sim import EdepSim
from .generator import Generator, Transport
from .identity import Identity
from .methods import STANDARD_METHODS, Basin, Method
from .performance import ReconstructionPerformance
from .precision import ExpectedUncertainty, LifetimeBaseline, NoiseInTheModel
from .reconstruction import Reconstruct
from .repeated import Pulls, Score
from .robustness import Ladder, Robustness
from .section import Name, NotNegative, Positive, Section, Seed
from .selection import Select
from .studies import Interdependence, Landscape, RecombinationLines, Sensitivity, Taylor

#: The name under which hits that were recorded elsewhere are fitted, in the place of a target.
MEASURED = "data"


class Sample(Section):
    """Where the energy deposits come from."""

    name: Name | None = Field(
        None, description="name of the result folder; null: the file's name, the preset's, or `generated`"
    )
    file: str | None = Field(None, description="edep-sim ROOT or HDF5 file; null: the generator below")
    sensitive_detectors: tuple[str, ...] = Field(
        (), description="detectors to read from an edep-sim ROOT file; empty: all, with a warning that lists them"
    )
    event_number: Literal["EventId", "entry"] = Field(
        "EventId", description="event number in a ROOT file: its EventId, or the entry (as the 2022 converter did)"
    )
    engine: Literal["argon", "edep-sim"] = Field(
        "argon", description="what follows the generated particles: transport of this project, or edep-sim"
    )
    generator: Generator = Generator()
    transport: Transport = Transport()
    edep_sim: EdepSim = EdepSim()

    @property
    def producing(self) -> tuple[str, ...]:
        """Dotted names of the settings that a generated sample depends on: those of its engine only."""
        engine = ("sample.transport",) if self.engine == "argon" else ("sample.edep_sim", "checks")
        return ("seed", "sample.engine", "sample.generator", *engine, "detector.file")


class Checks(Section):
    """What to do with segments that fail a check; every drop and repair is counted and reported."""

    inconsistent_length: Literal["refuse", "drop", "repair"] = Field(
        "repair",
        description="dx differs from |end - start| by more than max(0.01 cm, 1 %), or dEdx from dE/dx by more than 1 % "
        "(for dx of 0.001 cm or more) or is 0 with dE > 0; repair: dx and dEdx set to the length and dE/dx",
    )
    zero_length: Literal["refuse", "drop"] = Field("drop", description="start and end coincide")
    outside_volume: Literal["refuse", "drop"] = Field("drop", description="centre outside the active volume")
    mostly_outside: Literal["refuse", "drop"] = Field("refuse", description="more than half of all segments outside")


class Detector(Section):
    """Detector and physics models."""

    file: str = Field("module0", description="name of a detector in pipeline/detector/files, or path of a YAML file")
    recombination: Literal["birks", "box"] = Field("birks", description="recombination model")
    response: Literal["parametrised"] = Field("parametrised", description="pixel response")


class Noise(Section):
    """Electronics noise of targets (forward-model noise terms)."""

    enabled: bool = Field(True, description="add noise to the simulated targets")
    reset_electrons: NotNegative = Field(900.0, description="drawn at the start and after every reset")
    sampling_electrons: NotNegative = Field(500.0, description="drawn once per recorded hit")
    discriminator_electrons: NotNegative = Field(0.0, description="white noise per clock tick on the discriminator")


class Pixels(Section):
    """Constants of single pixels: from a file, or drawn; without either all are those of the detector file."""

    file: str | None = Field(
        None,
        description="CSV or HDF5 table of pixels (docs/formats.md), simulation and fit alike; pixels that are not "
        "listed are as in the detector file",
    )
    threshold_spread_electrons: NotNegative = Field(0.0, description="width of a Gaussian about the nominal threshold")
    gain_spread: NotNegative = Field(0.0, description="width about the nominal gain, relative to it")
    pedestal_spread_mv: NotNegative = Field(0.0, description="width about the nominal pedestal")
    seed: Seed = Field(1, description="seed of the drawn constants: the detector's, whatever is simulated")

    @property
    def drawn(self) -> bool:
        """Whether any constants are drawn."""
        return bool(self.threshold_spread_electrons or self.gain_spread or self.pedestal_spread_mv)

    @model_validator(mode="after")
    def _one_source(self) -> Pixels:
        if self.file is not None and self.drawn:
            raise ValueError("constants come from the file or are drawn, not both; leave out the file or the spreads")
        return self


class Readout(Section):
    """What the pixel readout writes."""

    integer_adc: bool = Field(False, description="whole ADC counts and whole clock ticks, as real data")
    noise: Noise = Noise()
    pixels: Pixels = Pixels()


class Simulate(Section):
    """How the forward model is computed."""

    accuracy: Literal["default", "precise"] = Field("default", description="quadrature of the forward model")
    dtype: Literal["float32", "float64"] = Field("float64", description="floating point of simulation and fit")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA where there is one, else CPU")
    memory_limit_mib: Positive = Field(1024.0, description="limit on the working memory of the forward model")
    block_pairs: int = Field(
        16384, ge=256, description="size of a block of work (charge packets times pixels); fixes the order of sums"
    )
    threads: int = Field(
        2, ge=1, description="blocks, or fits, computed at the same time (results do not depend on it)"
    )


class Targets(Section):
    """True parameter points at which data are simulated."""

    drawn: int = Field(2, ge=0, description="targets drawn uniformly from the table ranges of the six parameters")
    seed: int = Field(1, ge=0, description="seed of the drawn targets")
    named: dict[Name, dict[str, float]] = Field(
        default_factory=dict, description="targets by name: {name: {parameter: value}}, others nominal"
    )

    @field_validator("named")
    @classmethod
    def _known(cls, named: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        return {name: check_values(values, f"targets.named.{name}") for name, values in named.items()}

    @model_validator(mode="after")
    def _some(self) -> Targets:
        if MEASURED in self.named:
            raise ValueError(f"targets.named.{MEASURED}: the hits of section `data` go by this name; choose another")
        if not self.drawn and not self.named:
            raise ValueError("no target: set targets.drawn to 1 or more, or name one in targets.named")
        return self


class Studies(Section):
    """Settings of studies that have any."""

    basin: Basin = Basin()
    bound: Bound = Bound()
    expected_uncertainty: ExpectedUncertainty = ExpectedUncertainty()
    lifetime_baseline: LifetimeBaseline = LifetimeBaseline()
    noise_in_the_model: NoiseInTheModel = NoiseInTheModel()
    ladder: Ladder = Ladder()
    pulls: Pulls = Pulls()
    robustness: Robustness = Robustness()
    score: Score = Score()
    identity: Identity = Identity()
    bootstrap: Bootstrap = Bootstrap()
    pseudo_correlation: PseudoCorrelation = PseudoCorrelation()
    landscape: Landscape = Landscape()
    interdependence: Interdependence = Interdependence()
    recombination_lines: RecombinationLines = RecombinationLines()
    sensitivity: Sensitivity = Sensitivity()
    taylor: Taylor = Taylor()
    reconstruction: ReconstructionPerformance = ReconstructionPerformance()

    def methods_of(self, study: str) -> tuple[str, ...]:
        """The methods that the settings of a study name, in `methods` or `method`; none where it has no settings."""
        own = getattr(self, study, None)
        one = getattr(own, "method", None)
        return (*getattr(own, "methods", ()), *([] if one is None else [one]))

    def results_of(self, study: str) -> list[str]:
        """Files of results of other studies that the settings of a study name, in `reached`."""
        path = getattr(getattr(self, study, None), "reached", None)
        return [] if path is None else [path]


class Scenario(Section):
    """One named run of the workflow: which samples, targets, methods and studies it goes through, and its mistakes."""

    samples: tuple[Name, ...] = Field((), description="samples by name, of `samples`; empty: the one of `sample`")
    targets: tuple[Name, ...] = Field(
        (), description="targets by name, `data` for the hits of `data`; empty: all, or those hits where there are any"
    )
    methods: tuple[Name, ...] = Field((), description="methods by name; empty: all of `methods`")
    studies: tuple[str, ...] = Field((), description="studies by name (`gradcal study --help` lists them)")
    perturb: tuple[AnyPerturbation, ...] = Field(
        (),
        description="mistakes in the deposits that the fit gets, in order; each is a kind with its settings: "
        f"{', '.join(KINDS)} (docs/perturbations.md)",
    )
    input: Literal["truth", "reconstructed"] = Field(
        "truth", description="segments that the fit gets: the selected ones, or what is reconstructed from the hits"
    )
    contaminate: Contamination | None = Field(
        None, description="other particles in the data under the label of the wanted: sample, fraction, ...; null: none"
    )

    @field_validator("samples", "targets", "methods", "studies")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is listed twice")
        return names

    @field_validator("perturb")
    @classmethod
    def _independent(cls, steps: tuple[AnyPerturbation, ...]) -> tuple[AnyPerturbation, ...]:
        check_independent(steps)
        return steps


class Report(Section):
    """The page."""

    display_event: int | None = Field(None, description="event shown in 3-D; null: the one with most deposits")
    title: str = Field("Detector calibration by differentiable simulation", description="headline of the page")


class Paper(Section):
    """Figures of arXiv:2309.04639, made by `make paper`."""

    published: str | None = Field(None, description="CSV file of published fits, drawn beside ours; null: left out")


class Config(Section):
    """The whole configuration."""

    schema_version: Literal[1] = Field(1, description="version of this layout")
    seed: int = Field(1, ge=0, description="seed of everything random (targets have their own)")
    results: str = Field("results", description="folder for everything the workflow writes")
    scenario: Name = Field("closure", description="which of the scenarios below to run")
    sample: Sample = Sample()
    samples: dict[Name, Sample] = Field(default_factory=dict, description="more samples by name, for `scenarios`")
    checks: Checks = Checks()
    select: Select = Select()
    detector: Detector = Detector()
    readout: Readout = Readout()
    simulate: Simulate = Simulate()
    reconstruct: Reconstruct = Reconstruct()
    targets: Targets = Targets()
    data: Data | None = Field(
        None,
        description="hits that were recorded elsewhere, fitted under the name `data` instead of targets "
        "(docs/data.md); null: none",
    )
    methods: dict[Name, Method] = Field(
        default_factory=lambda: {"likelihood": STANDARD_METHODS["likelihood"]},
        min_length=1,
        description="ways to fit, by name; gauss_newton, masked_residuals, likelihood, adam and one for each loss need "
        "no entry here",
    )
    scenarios: dict[Name, Scenario] = Field(
        default_factory=lambda: {"closure": Scenario()},
        min_length=1,
        description="runs of the workflow, by name",
    )
    report: Report = Report()
    paper: Paper = Paper()
    study: Studies = Studies()

    @property
    def known_methods(self) -> dict[str, Method]:
        """The configured methods, and the standard ones that they do not replace."""
        return {**self.methods, **{name: m for name, m in STANDARD_METHODS.items() if name not in self.methods}}

    @model_validator(mode="after")
    def _references(self) -> Config:
        if self.scenario not in self.scenarios:
            raise ValueError(f"scenario {self.scenario!r} is not one of scenarios: {', '.join(self.scenarios)}")
        for name, scenario in self.scenarios.items():
            for method in scenario.methods:
                if method not in self.known_methods:
                    guess = nearest(method, self.known_methods)
                    raise ValueError(f"scenarios.{name}.methods: no method {method!r}; did you mean {guess!r}?")
            for wanted in scenario.samples:
                if wanted not in self.samples:
                    raise ValueError(f"scenarios.{name}.samples: no sample {wanted!r} under samples")
            if scenario.contaminate is not None:
                _other_sample(f"scenarios.{name}.contaminate.sample", scenario, self.samples)
            if self.data is not None and MEASURED in (scenario.targets or (MEASURED,)):
                _one_input(f"scenarios.{name}", scenario)
        for study in Studies.model_fields:
            for method in self.study.methods_of(study):
                if method not in self.known_methods:
                    guess = nearest(method, self.known_methods)
                    raise ValueError(f"study.{study}: there is no method {method!r}; did you mean {guess!r}?")
        for key, more in self.samples.items():
            if key in ("paper", "studies"):
                raise ValueError(f"samples.{key}: {key!r} is a folder of the workflow's own; choose another name")
            if more.name not in (None, key):
                raise ValueError(f"samples.{key}.name: {more.name!r} is not its name here; leave it out")
        return self


def _one_input(key: str, scenario: Scenario) -> None:
    """Refuse settings of a scenario that make no sense for hits that were recorded once, elsewhere."""
    if len(scenario.samples) > 1:
        raise ValueError(f"{key}.samples: the hits of `data` belong to one sample of segments; name one")
    if scenario.contaminate is not None:
        raise ValueError(f"{key}.contaminate: the hits of `data` are as they were recorded; leave it out")


def _other_sample(key: str, scenario: Scenario, samples: dict[str, Sample]) -> None:
    """Refuse a contamination from a sample that there is not, or from the sample itself."""
    assert scenario.contaminate is not None
    other = scenario.contaminate.sample
    if other not in samples:
        raise ValueError(f"{key}: no sample {other!r} under samples; add it there, with its file or its generator")
    if other in scenario.samples:
        raise ValueError(f"{key}: {other!r} is one of the samples that are contaminated; take another")
