"""Ways to fit: what is made small, how, and the methods that need no entry in a configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ..parameters import CALIBRATED, check_values, lookup
from .priors import Prior, check_priors
from .section import Name, NotNegative, Positive, Section
from .unknown import Unknown


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


class Uncertainty(Section):
    """Uncertainty of fits to data with noise."""

    observed: bool = Field(
        True, description="also from differences of the gradient at the end of the fit, as a check of the expected one"
    )
    minuit: bool = Field(
        False, description="also by Minuit: HESSE, and 68 % intervals by MINOS (hundreds of evaluations)"
    )


#: Objectives that are half a chi2 or a minus log-likelihood, so that a measurement can be added.
LIKELIHOODS = ("likelihood", "marginal_likelihood")
WITH_NOISE_UNITS = (*LIKELIHOODS, "matched_residuals")


class Method(Section):
    """One way to fit: what is made small, and how."""

    objective: Literal[
        "matched_residuals",
        "likelihood",
        "marginal_likelihood",
        "soft_dtw",
        "chamfer",
        "energy_distance",
        "mmd",
        "space_match",
        "multi_scale",
    ] = Field("matched_residuals", description="what is made small")
    optimiser: Literal["levenberg_marquardt", "fisher_scoring", "adam"] = Field(
        "levenberg_marquardt",
        description="how it is made small; levenberg_marquardt needs matched_residuals, fisher_scoring a likelihood",
    )
    free: tuple[str, ...] = Field(CALIBRATED, min_length=1, description="parameters that are fitted")
    fixed: dict[str, float] = Field(default_factory=dict, description="values of parameters that are not fitted")
    initial: dict[str, float] = Field(default_factory=dict, description="start values; others nominal")
    priors: dict[str, Prior] = Field(
        default_factory=dict,
        description="external measurements by parameter: {name: {value, uncertainty, correlation: {other name: rho}}}",
    )
    max_iterations: int = Field(40, ge=1, description="at most this many steps (adam: exactly this many)")
    tolerance: Positive = Field(
        1e-10, description="levenberg_marquardt: converged when no parameter moves by more, relative to nominal"
    )
    charge_scale_adc: Positive = Field(1.0, description="unit of the charge residual [ADC]")
    time_scale_us: Positive = Field(0.1, description="unit of the time residual [us]")
    threshold_noise_electrons: NotNegative = Field(
        900.0, description="widens the units of both by what this much noise on the threshold would move a hit"
    )
    reset_noise_electrons: NotNegative = Field(
        0.0, description="widens them by what this much noise drawn at every reset does to a hit, of data that have it"
    )
    min_charge_electrons: NotNegative = Field(
        0.0,
        description="matched_residuals: hits with less simulated charge at the start values, and later ones of their "
        "pixel, are left out; for data with noise: well above the threshold, such as 11000 in module 0; 0: off",
    )
    fair_scale: Positive = Field(20.0, description="Fair weight 1 / (1 + |r| / scale), in residual units")
    max_unmatched_fraction: NotNegative = Field(
        0.1, description="verdict: more hits than this without a partner and the fit is not called good"
    )
    approach_length_cm: Positive | None = Field(
        300.0,
        description="fisher_scoring: residuals of this much track bring it near, then the likelihood of all of it "
        "decides; null: of the whole sample",
    )
    starts: int = Field(1, ge=1, description="number of starts; the first is `initial`, others drawn from the ranges")
    loss: Loss = Loss()
    adam: Adam = Adam()
    unknown: Unknown = Unknown()
    uncertainty: Uncertainty = Uncertainty()

    @property
    def for_noise(self) -> bool:
        """Whether the method knows of noise: it has its probability, or keeps away from the threshold."""
        return self.objective in LIKELIHOODS or self.min_charge_electrons > 0

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
        if (self.optimiser == "fisher_scoring") != (self.objective in LIKELIHOODS):
            raise ValueError(
                f"a likelihood as objective and the optimiser fisher_scoring need each other; here are "
                f"{self.objective} and {self.optimiser}"
            )
        if self.optimiser == "levenberg_marquardt" and self.objective != "matched_residuals":
            raise ValueError(
                f"levenberg_marquardt needs residuals, which the objective {self.objective} has not; use adam"
            )
        for name in self.fixed:
            if name in self.free:
                raise ValueError(f"{name} is both free and fixed; take it out of one of the two")
        check_priors(self.priors, self.free)
        if self.priors and (self.objective not in WITH_NOISE_UNITS or self.batch_length_cm is not None):
            raise ValueError(
                f"priors need an objective in units of the noise ({', '.join(WITH_NOISE_UNITS)}) on the whole sample, "
                f"not {self.objective} by {self.optimiser}; leave them out or change it"
            )
        return self


#: Muons of one dE/dx do not tell k_B from A_B.
WITHOUT_KB = tuple(name for name in CALIBRATED if name != "birks_kb")

#: Methods that need no entry in the configuration: the quick fit of residuals, the same for data with the noise of
#: `Noise` (500 electrons are 0.506 ADC counts in module 0), the published recipe, and the same steps with the other
#: losses.
STANDARD_METHODS = {
    "gauss_newton": Method(),
    "likelihood": Method(objective="likelihood", optimiser="fisher_scoring"),
    "unknown_dedx": Method(
        objective="marginal_likelihood",
        optimiser="fisher_scoring",
        free=WITHOUT_KB,
        unknown=Unknown(geometry=False),
    ),
    "unknown_segments": Method(
        objective="marginal_likelihood",
        optimiser="fisher_scoring",
        free=WITHOUT_KB,
        max_iterations=200,
        unknown=Unknown(production_cut_mev=0.273, stray_above_mev=0.273, min_track_cm=10.0),
    ),
    "masked_residuals": Method(
        charge_scale_adc=0.506,
        time_scale_us=0.01,
        threshold_noise_electrons=0.0,
        reset_noise_electrons=900.0,
        min_charge_electrons=11000.0,
        tolerance=1e-6,
    ),
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
    methods: tuple[Name, ...] = Field(
        # Its data have no noise.
        tuple(name for name, method in STANDARD_METHODS.items() if not method.for_noise),
        min_length=1,
        description="methods that are compared",
    )
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
