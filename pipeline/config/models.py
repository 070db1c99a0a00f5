"""The configuration: the single source of every setting, its default, its unit and its explanation.

`config.yaml` and `workflow/schemas/config.schema.json` are generated from these models (`pipeline.config.generate`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ..names import nearest
from ..parameters import CALIBRATED, check_values, lookup
from ..perturb.base import check_independent
from ..perturb.contamination import Contamination
from ..perturb.registry import KINDS, AnyPerturbation
from .edep_sim import EdepSim
from .generator import Generator, Transport
from .precision import ExpectedUncertainty, LifetimeBaseline, NoiseInTheModel
from .section import Name, NotNegative, Positive, Section


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


class Select(Section):
    """Selection cuts: those of arXiv:2309.04639 by default, and limits on delays and total length; null: off."""

    species: tuple[int, ...] = Field((), description="PDG codes to keep; empty: all")
    max_delay_us: Positive | None = Field(
        1000.0,
        description="keep segments deposited at most this long after the earliest of their event (decays, captures)",
    )
    max_abs_cos_drift: Annotated[float, Field(gt=0, le=1)] | None = Field(
        0.966, description="keep tracks whose |cos(angle to the drift)|, first start to last end, is below this"
    )
    track_anode_margin_cm: NotNegative | None = Field(
        2.0, description="drop a track if any of its segment centres is this close to an anode (tested first)"
    )
    max_anode_distance_cm: Positive | None = Field(15.0, description="keep segments within this distance of an anode")
    min_track_length_cm: NotNegative | None = Field(2.0, description="drop shorter tracks")
    max_total_length_cm: Positive | None = Field(
        600.0, description="keep whole tracks, in an order fixed by the seed, up to this summed length"
    )


class Detector(Section):
    """Detector and physics models."""

    file: str = Field("module0", description="name of a detector in pipeline/detector/files, or path of a YAML file")
    recombination: Literal["birks", "box"] = Field("birks", description="recombination model")
    response: Literal["parametrised"] = Field("parametrised", description="pixel response")


class Noise(Section):
    """Electronics noise of targets (forward-model noise terms)."""

    enabled: bool = Field(False, description="add noise to the simulated targets")
    reset_electrons: NotNegative = Field(900.0, description="drawn at the start and after every reset")
    sampling_electrons: NotNegative = Field(500.0, description="drawn once per recorded hit")
    discriminator_electrons: NotNegative = Field(0.0, description="white noise per clock tick on the discriminator")


class Readout(Section):
    """What the pixel readout writes."""

    integer_adc: bool = Field(False, description="whole ADC counts and whole clock ticks, as real data")
    noise: Noise = Noise()


class Simulate(Section):
    """How the forward model is computed."""

    accuracy: Literal["default", "precise"] = Field("default", description="quadrature of the forward model")
    dtype: Literal["float32", "float64"] = Field("float64", description="floating point of simulation and fit")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA where there is one, else CPU")
    memory_limit_mib: Positive = Field(1024.0, description="limit on the working memory of the forward model")
    block_pairs: int = Field(
        16384, ge=256, description="size of a block of work (charge packets times pixels); fixes the order of sums"
    )
    threads: int = Field(2, ge=1, description="blocks computed at the same time (results do not depend on it)")


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
        if not self.drawn and not self.named:
            raise ValueError("no target: set targets.drawn to 1 or more, or name one in targets.named")
        return self


class Loss(Section):
    """What a loss of hits compares (objectives other than `matched_residuals`)."""

    adc_weight: NotNegative = Field(1.0, description="soft_dtw: weight of the sequences of ADC counts")
    time_weight: NotNegative = Field(1.0, description="soft_dtw: weight of the sequences of times in us")
    gamma: Positive = Field(1.0, description="soft_dtw: smoothing [ADC counts, us]")
    time_unit_us: Positive = Field(0.1, description="chamfer, space_match: time that counts as much as one ADC count")
    drift_cm_per_us: Positive = Field(0.16, description="losses in space (all but soft_dtw): turns times into depths")
    pedestal_adc: NotNegative = Field(
        74.0, description="energy_distance, mmd, multi_scale: ADC counts of no charge; hits weigh by their charge"
    )
    missing_charge_cm: Positive = Field(
        75.0,
        description="energy_distance: charge that one side lacks costs as if it were this far away; at least half "
        "the size of an event",
    )
    kernel: Literal["laplacian", "gaussian"] = Field("laplacian", description="mmd: kernel ...")
    kernel_cm: Positive = Field(1.0, description="... and its width")
    scales_cm: tuple[Positive, ...] = Field(
        (0.5, 1.0, 2.0, 4.0, 8.0), min_length=1, description="multi_scale: widths by which the charge is blurred"
    )
    match_scale_adc: Positive = Field(
        5.0, description="space_match: difference beyond which the cost of a pair grows linearly [ADC counts]"
    )

    @model_validator(mode="after")
    def _something(self) -> Loss:
        if not self.adc_weight and not self.time_weight:
            raise ValueError("adc_weight and time_weight are both 0, so that nothing would be compared")
        return self


class Adam(Section):
    """Steps of the optimiser `adam`: normalised gradients of one batch of whole tracks at a time."""

    learning_rate: Positive = Field(5e-2, description="first size of a step, in units of the nominal values")
    decay: Annotated[float, Field(gt=0, le=1)] = Field(0.95, description="factor on the learning rate per ...")
    decay_iterations: Positive = Field(66.0, description="... this many iterations, whatever the number of batches")
    clip_norm: Positive = Field(1.0, description="largest norm of a gradient; longer ones are shortened to it")
    batch_length_cm: Positive | None = Field(100.0, description="length of a batch; null: the whole sample at once")
    average_passes: NotNegative = Field(
        1.0, description="the result is the mean over this many last passes through the batches; 0: the last point"
    )
    settle_fraction: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.2, description="last part of the iterations in which the values must have settled ..."
    )
    settle_tolerance: Positive = Field(5e-3, description="... to within this much of the nominal values")


class Method(Section):
    """One way to fit: what is made small, and how."""

    objective: Literal[
        "matched_residuals", "soft_dtw", "chamfer", "energy_distance", "mmd", "space_match", "multi_scale"
    ] = Field("matched_residuals", description="what is made small")
    optimiser: Literal["levenberg_marquardt", "adam"] = Field(
        "levenberg_marquardt", description="how it is made small; levenberg_marquardt needs matched_residuals"
    )
    free: tuple[str, ...] = Field(CALIBRATED, min_length=1, description="parameters that are fitted")
    fixed: dict[str, float] = Field(default_factory=dict, description="values of parameters that are not fitted")
    initial: dict[str, float] = Field(default_factory=dict, description="start values; others nominal")
    max_iterations: int = Field(40, ge=1, description="at most this many steps (adam: exactly this many)")
    tolerance: Positive = Field(
        1e-10, description="levenberg_marquardt: converged when no parameter moves by more, relative to nominal"
    )
    charge_scale_adc: Positive = Field(1.0, description="unit of the charge residual [ADC]")
    time_scale_us: Positive = Field(0.1, description="unit of the time residual [us]")
    threshold_noise_electrons: NotNegative = Field(
        900.0, description="widens the units of both by what this much noise on the threshold would move a hit"
    )
    fair_scale: Positive = Field(20.0, description="Fair weight 1 / (1 + |r| / scale), in residual units")
    max_unmatched_fraction: NotNegative = Field(
        0.1, description="verdict: more hits than this without a partner and the fit is not called good"
    )
    starts: int = Field(1, ge=1, description="number of starts; the first is `initial`, others drawn from the ranges")
    loss: Loss = Loss()
    adam: Adam = Adam()

    @property
    def batch_length_cm(self) -> float | None:
        """Length of the batches that the optimiser goes through; None: it takes the sample as a whole."""
        return self.adam.batch_length_cm if self.optimiser == "adam" else None

    @field_validator("free")
    @classmethod
    def _names(cls, free: tuple[str, ...]) -> tuple[str, ...]:
        for name in free:
            lookup(name, "methods.*.free")
        if len(set(free)) != len(free):
            raise ValueError("a parameter is listed twice")
        return free

    @field_validator("fixed", "initial")
    @classmethod
    def _values(cls, values: dict[str, float]) -> dict[str, float]:
        return check_values(values, "methods.*")

    @model_validator(mode="after")
    def _fits(self) -> Method:
        if self.optimiser == "levenberg_marquardt" and self.objective != "matched_residuals":
            raise ValueError(
                f"levenberg_marquardt needs residuals, which the objective {self.objective} has not; use adam"
            )
        for name in self.fixed:
            if name in self.free:
                raise ValueError(f"{name} is both free and fixed; take it out of one of the two")
        return self


#: Methods that need no entry in the configuration: the quick fit of residuals, the published recipe, and the same steps
#: with the other losses.
STANDARD_METHODS = {
    "gauss_newton": Method(),
    "adam": Method(objective="soft_dtw", optimiser="adam", max_iterations=2000),
    **{
        f"adam_{loss}": Method(objective=loss, optimiser="adam", max_iterations=2000)
        for loss in ("chamfer", "energy_distance", "mmd", "space_match", "multi_scale")
    },
}


class Basin(Section):
    """Study `basin`: from how far fits find the target, with and without the cut on the distance to an anode."""

    length_cm: Positive = Field(60.0, description="length of track, with the cut and without")
    target: dict[str, float] = Field(default_factory=dict, description="true values; others nominal")
    methods: tuple[Name, ...] = Field(tuple(STANDARD_METHODS), min_length=1, description="methods that are compared")
    distances: tuple[NotNegative, ...] = Field(
        (1.0, 2.0, 3.0), min_length=1, description="distances of starts; 1: at the edge of the table ranges"
    )
    starts: int = Field(3, ge=1, description="starts at each distance")
    adam: Adam = Adam(decay=0.95, decay_iterations=8, batch_length_cm=12)
    adam_iterations: int = Field(400, ge=1, description="steps of a fit by adam")
    adam_tolerance: Positive = Field(0.05, description="largest relative error of a fit by adam that has arrived ...")
    tolerance: Positive = Field(1e-4, description="... and of a fit by levenberg_marquardt")
    reach: Positive = Field(3.0, description="distance that lines and plane reach to either side of the target")
    line_points: int = Field(13, ge=3, description="points of a line through the target, one line for each parameter")
    plane: tuple[str, str] = Field(("electric_field", "electron_lifetime"), description="parameters of the map ...")
    plane_points: int = Field(9, ge=3, description="... and its points in each direction")

    @field_validator("target")
    @classmethod
    def _values(cls, values: dict[str, float]) -> dict[str, float]:
        return check_values(values, "study.basin.target")

    @field_validator("plane")
    @classmethod
    def _plane(cls, plane: tuple[str, str]) -> tuple[str, str]:
        for name in plane:
            if name not in CALIBRATED:
                raise ValueError(f"{name} is not one of {', '.join(CALIBRATED)}")
        if plane[0] == plane[1]:
            raise ValueError("a plane needs two different parameters")
        return plane


class Studies(Section):
    """Settings of studies that have any."""

    basin: Basin = Basin()
    expected_uncertainty: ExpectedUncertainty = ExpectedUncertainty()
    lifetime_baseline: LifetimeBaseline = LifetimeBaseline()
    noise_in_the_model: NoiseInTheModel = NoiseInTheModel()


class Scenario(Section):
    """One named run of the workflow: which samples, targets, methods and studies it goes through, and its mistakes."""

    samples: tuple[Name, ...] = Field((), description="samples by name, of `samples`; empty: the one of `sample`")
    targets: tuple[Name, ...] = Field((), description="targets by name; empty: all")
    methods: tuple[Name, ...] = Field((), description="methods by name; empty: all of `methods`")
    studies: tuple[str, ...] = Field((), description="studies by name (`gradcal study --help` lists them)")
    perturb: tuple[AnyPerturbation, ...] = Field(
        (),
        description="mistakes in the deposits that the fit gets, in order; each is a kind with its settings: "
        f"{', '.join(KINDS)} (docs/perturbations.md)",
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
    targets: Targets = Targets()
    methods: dict[Name, Method] = Field(
        default_factory=lambda: {"gauss_newton": STANDARD_METHODS["gauss_newton"]},
        min_length=1,
        description="ways to fit, by name; gauss_newton, adam and one for each loss are known without an entry here",
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
        for key, more in self.samples.items():
            if key in ("paper", "studies"):
                raise ValueError(f"samples.{key}: {key!r} is a folder of the workflow's own; choose another name")
            if more.name not in (None, key):
                raise ValueError(f"samples.{key}.name: {more.name!r} is not its name here; leave it out")
        return self


def _other_sample(key: str, scenario: Scenario, samples: dict[str, Sample]) -> None:
    """Refuse a contamination from a sample that there is not, or from the sample itself."""
    assert scenario.contaminate is not None
    other = scenario.contaminate.sample
    if other not in samples:
        raise ValueError(f"{key}: no sample {other!r} under samples; add it there, with its file or its generator")
    if other in scenario.samples:
        raise ValueError(f"{key}: {other!r} is one of the samples that are contaminated; take another")
