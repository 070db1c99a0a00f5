"""The figures and tables of arXiv:2309.04639, numbered as there, made from studies and fits."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from markupsafe import Markup
from matplotlib.figure import Figure

from .. import __version__
from ..errors import ConfigError, FileFormatError
from ..storage.published import PublishedFit
from . import basin, paper_model
from .pages import filled
from .paper_fits import (
    MIXED,
    MUONS,
    PARAMETER_HEAD,
    VALUE_HEAD,
    Family,
    PaperFit,
    family_of,
    fit_rows,
    largest_errors,
    parameter_curves,
    parameter_rows,
    value_rows,
)
from .paper_model import Result
from .plots import Drawing, image, style
from .table import Table

T = TypeVar("T")


@dataclass(frozen=True)
class Paper:
    """All figures and tables that the given studies and fits allow; `missing`: a sentence for each that they do not."""

    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    missing: Sequence[str]


def families(studies: Sequence[Result]) -> dict[str, Family]:
    """The family of every sample whose track lengths are known."""
    return {str(s["sample"]): _family(s) for s in studies if s["study"] == "track_lengths"}


def _family(study: Result) -> Family:
    return _understood(study, lambda: family_of(study["species"]))


def _drawn(study: Result, function: Callable[[Result, str], tuple[Figure, str]]) -> tuple[Figure, str]:
    return _understood(study, lambda: function(study, _sample_words(study["sample"])))


def _understood(study: Result, work: Callable[[], T]) -> T:
    """What `work` makes of a study; raises `FileFormatError` where the study does not hold what it should."""
    try:
        return work()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
        raise FileFormatError(
            f"--studies: {study['study']} of {study['sample'] or 'the detector'} is not as this version writes it "
            f"({type(error).__name__}: {error}); make it anew."
        ) from error


def draw(studies: Sequence[Result], fits: Sequence[PaperFit], published: Sequence[PublishedFit]) -> Paper:
    """Draw everything.

    Raises `ConfigError` where a study of one sample is given twice.
    """
    given = [(str(s["study"]), s["sample"]) for s in studies]
    for name, sample in given:
        if given.count((name, sample)) > 1:
            raise ConfigError(f"--studies: {name} of {sample or 'the detector'} is given twice; leave one out.")
    with style():
        drawings = [*_studies(studies), *_track_lengths(studies), *_fits(fits, published), *_basin(studies)]
    drawings.sort(key=lambda d: d.stem)
    missing = []
    for numbers, what in (
        ("2 and 3", "relaxations"), ("4 to 8", "scaling"), ("13", "track_lengths"), ("14", "track_lengths")
    ):  # fmt: skip
        first = f"fig{int(numbers.split()[0]):02d}"
        if not any(d.stem.startswith(first) for d in drawings):
            which = {"13": " of a sample of muons", "14": " of a mixed sample"}.get(numbers, "")
            missing.append(f"Fig. {numbers}: no study `{what}`{which} was given.")
    for family in (MUONS, MIXED):
        if not any(f.family is family for f in fits):
            missing.append(f"Fig. {family.figure}: no fit of {family.words} was given.")
    return Paper(_tables(fits, published), drawings, missing)


def _named(stem: str, sample: str | None, several: bool) -> str:
    return f"{stem}_{sample}" if several else stem


def _sample_words(sample: str | None) -> str:
    return f"the sample {sample}"


def _studies(studies: Sequence[Result]) -> list[Drawing]:
    found = []
    for study in studies:
        several = sum(s["study"] == study["study"] for s in studies) > 1
        for number, title, function in paper_model.OF_STUDY.get(str(study["study"]), ()):
            figure, caption = _drawn(study, function)
            found.append(
                Drawing(
                    _named(f"fig{number:02d}", study["sample"], several), f"Fig. {number}. {title}", caption, figure
                )
            )
    return found


def _basin(studies: Sequence[Result]) -> list[Drawing]:
    chosen = [s for s in studies if s["study"] == "basin"]

    def drawn(study: Result) -> list[Drawing]:
        return basin.drawings([study], lambda stem, sample: _named(stem, sample, len(chosen) > 1))

    return [drawing for study in chosen for drawing in _understood(study, partial(drawn, study))]


def _track_lengths(studies: Sequence[Result]) -> list[Drawing]:
    found = []
    lengths = [s for s in studies if s["study"] == "track_lengths"]
    for study in lengths:
        family = _family(study)
        several = sum(_family(s) is family for s in lengths) > 1
        number = 13 if family is MUONS else 14
        figure, caption = _drawn(study, paper_model.track_lengths)
        title = f"Fig. {number}. Lengths of tracks: {family.words}"
        found.append(Drawing(_named(f"fig{number}", study["sample"], several), title, caption, figure))
    return found


def _fits(fits: Sequence[PaperFit], published: Sequence[PublishedFit]) -> list[Drawing]:
    found = []
    for family in (MUONS, MIXED):
        samples = list(dict.fromkeys(f.sample for f in fits if f.family is family))
        for sample in samples:
            chosen = [f for f in fits if f.sample == sample]
            figure, caption = parameter_curves(chosen, published, _sample_words(sample))
            stem = _named(f"fig{family.figure}", sample, len(samples) > 1)
            found.append(Drawing(stem, f"Fig. {family.figure}. Fits: {family.words}", caption, figure))
    if any(f.distance is not None for f in fits):
        figure, caption = largest_errors(fits, published)
        found.append(Drawing("fig17", "Fig. 17. Largest errors", caption, figure))
    return found


def _tables(fits: Sequence[PaperFit], published: Sequence[PublishedFit]) -> list[Table]:
    first = Table(
        "table1",
        "Table I. Parameters",
        "The calibrated parameters: fits start at the nominal values, targets are drawn uniformly from the range.",
        PARAMETER_HEAD,
        parameter_rows(),
    )
    if not fits:
        return [first]
    head, rows = fit_rows(fits, published)
    beside = (
        " Published fits are single points; their last value stands at 5000 and at the end."
        if published
        else " Published fits are left out: their table was not given."
    )
    caption = (
        "Largest relative error of a fitted parameter: of the result of a fit that ends at an iteration, which for "
        "small steps is a mean over its last pass through the batches, and of the single points; time of the fit, "
        "without reading files."
    )
    values = Table(
        "values",
        "Fitted values",
        "Every fitted value with its standard uncertainty, where the fit has the noise in its model and so gives one; "
        "the pull is the distance to the true value in these uncertainties.",
        VALUE_HEAD,
        value_rows(fits),
    )
    return [first, Table("fits", "Fits in numbers", caption + beside, head, rows), values]


def files(paper: Paper) -> dict[str, bytes]:
    """Every file of the paper by its name: figures as PNG and SVG, tables as CSV and Markdown, and `paper.html`."""
    found: dict[str, bytes] = {}
    for table in paper.tables:
        found[f"{table.stem}.csv"] = table.csv().encode()
        found[f"{table.stem}.md"] = table.markdown().encode()
    for drawing in paper.drawings:
        for kind in ("png", "svg"):
            found[f"{drawing.stem}.{kind}"] = image(drawing.figure, kind)
    # Last, for it says that the others are there.
    found["paper.html"] = _page(paper, found).encode()
    return found


def _page(paper: Paper, images: Mapping[str, bytes]) -> str:
    return filled(
        "paper.html",
        tables=paper.tables,
        figures=[
            {
                "stem": d.stem,
                "title": d.title,
                "caption": d.caption,
                "width": round(120 * d.figure.get_figwidth()),
                "image": Markup("data:image/svg+xml;base64," + base64.b64encode(images[f"{d.stem}.svg"]).decode()),
            }
            for d in paper.drawings
        ],
        missing=paper.missing,
        version=__version__,
    )
