"""`gradcal paper`: the figures and tables of arXiv:2309.04639."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..report.paper_fits import PaperFit

HELP = "draw the figures and tables of the paper from studies and fits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal paper`."""
    from .common import add_config_arguments

    add_config_arguments(parser, required=False)
    parser.add_argument(
        "--studies",
        metavar="STUDY.json",
        type=Path,
        nargs="*",
        default=[],
        help="what `gradcal study` wrote: relaxations, scaling, track_lengths, basin",
    )
    parser.add_argument(
        "--fits",
        metavar="FIT.h5",
        type=Path,
        nargs="*",
        default=[],
        help="results of `gradcal fit`, as .../<sample>/<target>/<method>/fit.h5",
    )
    parser.add_argument(
        "--published",
        metavar="TABLE.csv",
        type=Path,
        help="published fits, drawn beside ours, instead of paper.published",
    )
    parser.add_argument("output", metavar="OUT_FOLDER", type=Path, help="folder for figures, tables and paper.html")


def main(args: argparse.Namespace) -> None:
    """Read studies and fits, draw, write every file."""
    from ..report.paper import draw, families, files
    from ..storage.atomic import atomic_output, check_output
    from ..storage.published import read_published
    from ..storage.studies import read_study
    from .common import config_files, config_of, say

    configured = config_of(args).paper.published
    table = args.published or (None if configured is None else Path(configured))
    inputs = [*args.studies, *args.fits, *([] if table is None else [table]), *config_files(args)]
    check_output(args.output / "paper.html", *inputs)
    studies = [read_study(path) for path in args.studies]
    fits = read_fits(args.fits, families(studies))
    published = [] if table is None else read_published(table)
    made = files(draw(studies, fits, published))
    for name in made:
        check_output(args.output / name, *inputs)
    for name, content in made.items():
        with atomic_output(args.output / name) as temporary:
            temporary.write_bytes(content)
    say(f"{args.output / 'paper.html'}: open it in a browser.")


def read_fits(paths: Sequence[Path], families: Mapping[str, Any]) -> list[PaperFit]:
    """Read fits with the sample that their path names, its family, and their time from the file beside them.

    Raises `ConfigError` where it is not known what kind of sample it is.
    """
    from ..errors import ConfigError, FileFormatError
    from ..report.outcome import Fit, names_from_path
    from ..report.paper_fits import PaperFit
    from ..storage.fit import read_fit
    from ..storage.timings import seconds_of

    fits = []
    for path in paths:
        parts = path.absolute().parts
        if path.name != "fit.h5" or len(parts) < 5:
            raise FileFormatError(f"{path}: a fit of the paper lies in .../<sample>/<target>/<method>/fit.h5.")
        sample = parts[-4]
        if sample not in families:
            known = ", ".join(families) or "none"
            raise ConfigError(
                f"{path}: the study track_lengths of the sample {sample} tells which figure it belongs to; give it "
                f"with --studies (given: {known})."
            )
        target, method = names_from_path(path)
        fits.append(PaperFit(sample, families[sample], Fit(target, method, read_fit(path)), seconds_of(path)))
    return fits
