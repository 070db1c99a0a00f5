"""`gradcal study`: one study over a sample."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.models import Config
    from ..storage.kept_answers import KeptAnswers
    from ..study.registry import Study

HELP = "run one study, such as `benchmark`, on segments"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal study`."""
    from ..study.registry import STUDIES
    from .common import add_config_arguments, add_model_arguments

    studies = "; ".join(f"{study.name}: {study.summary}" for study in STUDIES.values())
    parser.add_argument("name", metavar="NAME", help=f"the study: {studies}")
    add_config_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument("--dtype", choices=("float32", "float64"), help="instead of simulate.dtype")
    parser.add_argument(
        "--segments",
        metavar="SEGMENTS.h5",
        type=Path,
        help="selected segments, or all where the study applies the cuts",
    )
    parser.add_argument("--output", metavar="OUT.json", type=Path, help="file for the numbers; the table is printed")


def main(args: argparse.Namespace) -> None:
    """Run the study; print its table, write its numbers."""
    from ..errors import ConfigError
    from ..layout import sample_of
    from ..names import nearest
    from ..storage.atomic import atomic_output, check_output
    from ..storage.detector import load_geometry
    from ..study.registry import STUDIES
    from .common import config_files, model_config, read_with_detector, say

    if args.name not in STUDIES:
        raise ConfigError(f"there is no study {args.name!r}; did you mean {nearest(args.name, STUDIES)!r}?")
    study = STUDIES[args.name]
    if study.input is not None and args.segments is None:
        raise ConfigError(f"the study {args.name} needs segments; name their file by --segments.")
    config = model_config(args)
    inputs = [*([] if args.segments is None else [args.segments]), *map(Path, config.study.results_of(args.name))]
    if args.output is not None:
        check_output(args.output, *inputs, *config_files(args, config))
    if study.input is None:
        if args.segments is not None:
            say(f"{args.name} makes its own segments; {args.segments} is not read.")
        segments, geometry = None, load_geometry(config.detector.file)
    else:
        segments, geometry = read_with_detector(args.segments, config)
    kept = _kept(args, study, config) if study.resumable and args.output is not None else None
    more = {} if kept is None else {"kept": kept}
    result = study.function("run")(config, segments, geometry, lambda step: say(f"{args.name}: {step}"), **more)
    # Figures say which study and which sample they show.
    sample = None if study.input is None else sample_of(args.segments)
    labelled = {"study": args.name, "sample": sample, **result}
    if args.output is not None:
        with atomic_output(args.output) as temporary:
            temporary.write_text(json.dumps(labelled, indent=2) + "\n", encoding="utf-8")
    if kept is not None:
        kept.remove()
    print(study.function("table")(result))


def _kept(args: argparse.Namespace, study: Study, config: Config) -> KeptAnswers:
    """The answers that an interrupted run of the same study, settings and inputs found."""
    from ..config.load import config_slice
    from ..storage.kept_answers import KeptAnswers
    from ..storage.provenance import Provenance
    from .common import detector_files

    settings = config_slice(config, *study.sections, f"study.{study.name}")
    known = config.known_methods
    settings["methods"] = {
        n: known[n].model_dump(mode="json") for n in config.study.methods_of(study.name) if n in known
    }
    # How the work is shared out changes no answer.
    for name in ("threads", "memory_limit_mib"):
        settings.get("simulate", {}).pop(name, None)
    inputs = {"segments": args.segments, **detector_files(config)}
    provenance = Provenance.of(f"study {study.name}", settings, inputs=inputs, module=study.module)
    return KeptAnswers(args.output, provenance)
