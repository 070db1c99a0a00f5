"""The command: every ending has its exit status and one line, and nothing is imported that is not asked for."""

import argparse
import os
import signal
import subprocess
import sys
import time
import types

import pytest

from pipeline import __version__
from pipeline.cli import common, main
from pipeline.errors import ConfigError, SegmentError

from ..conftest import ROOT


@pytest.fixture
def command(monkeypatch):
    """Give a function that puts `body` in the place of the command `config`."""
    from pipeline.cli import config

    def put(body, add_arguments=lambda parser: None):
        monkeypatch.setattr(config, "main", body)
        monkeypatch.setattr(config, "add_arguments", add_arguments)

    monkeypatch.delenv("GRADCAL_DEBUG", raising=False)
    return put


def gradcal(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments], cwd=ROOT, capture_output=True, text=True, **options
    )


def raising(error):
    def body(args):
        raise error

    return body


def test_overview_lists_every_command_with_help(capsys):
    assert main.run(["--help"]) == 0
    listed = capsys.readouterr().out
    for name, text in main.commands().items():
        assert text, f"{name} has no HELP"
        assert f"  {name} " in listed and text in listed


def test_version(capsys):
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"gradcal {__version__}\n"


def test_without_a_command_the_overview_is_shown_and_the_status_is_that_of_misuse():
    assert main.run([]) == 2


def test_unknown_command_is_answered_with_the_nearest(capsys):
    assert main.run(["confg"]) == 2
    assert capsys.readouterr().err == "gradcal: there is no command 'confg'; did you mean 'config'?\n"


def test_wrong_usage_is_one_line(capsys):
    assert main.run(["config", "--shema"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gradcal config: ") and "--shema" in error and error.count("\n") == 1


def test_options_may_not_be_shortened():
    assert main.run(["config", "--sch"]) == 2


MEMORY = "gradcal config: the memory of this machine does not suffice; lower simulate.memory_limit_mib.\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConfigError("config.yaml: seed\nis odd."), "gradcal config: config.yaml: seed is odd.\n"),
        (SegmentError("no events."), "gradcal config: no events.\n"),
        (PermissionError(13, "Permission denied", "out.h5"), "gradcal config: out.h5: permission denied.\n"),
        (MemoryError(), MEMORY),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
            MEMORY,
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."), MEMORY),
        (RuntimeError("a bad shape"), "gradcal config: a fault in this program (RuntimeError: a bad shape); "),
        (BrokenPipeError(32, "Broken pipe"), "gradcal config: a fault in this program (BrokenPipeError"),
        (ZeroDivisionError("by zero"), "gradcal config: a fault in this program (ZeroDivisionError: by zero); "),
    ],
)
def test_every_error_is_one_line_and_status_2(command, error, expected, capsys):
    command(raising(error))
    assert main.run(["config"]) == 2
    written = capsys.readouterr().err
    assert written.startswith(expected) and written.count("\n") == 1


def test_traceback_on_request_only(command, monkeypatch, capsys):
    command(raising(ZeroDivisionError("by zero")))
    monkeypatch.setenv("GRADCAL_DEBUG", "1")
    assert main.run(["config"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_interruption(command, capsys):
    command(raising(KeyboardInterrupt()))
    assert main.run(["config"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_nothing_half_written(number, status, tmp_path):
    code = f"""
import sys, time
from pipeline.cli import config, main
from pipeline.storage.atomic import atomic_output
def body(args):
    with atomic_output({str(tmp_path / "out.h5")!r}) as temporary:
        temporary.write_text("half")
        print("started", flush=True)
        time.sleep(30)
config.main = body
sys.exit(main.run(["config"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout.readline() == b"started\n"
        run.send_signal(number)
        _, error = run.communicate(timeout=20)
    assert run.returncode == status
    assert b"Traceback" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_comes_while_an_object_is_removed_is_not_lost(number, status, command):
    class Removed:
        def __del__(self):
            os.kill(os.getpid(), number)

    def body(args):
        Removed()
        time.sleep(5)
        raise ConfigError("The signal was lost.")

    command(body)
    assert main.run(["config"]) == status


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("arguments", [["config"], ["config", "--help"], ["--help"], ["--version"]])
def test_reader_that_stops_reading_is_no_error(arguments, buffered):
    run = unread(["-m", "pipeline.cli", *arguments], buffered, stderr=subprocess.PIPE)
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(("ending", "status"), [("pass", 0), ("raise ConfigError('no.')", 2)])
def test_work_goes_on_when_nobody_reads_what_is_said(ending, status, buffered, tmp_path):
    """As in `gradcal fit ... 2>&1 | head -1`."""
    code = f"""
import sys
from pathlib import Path
from pipeline.cli import common, config, main
from pipeline.errors import ConfigError
def body(args):
    common.say("begun")
    common.say("going on")
    Path({str(tmp_path / "out")!r}).write_text("done")
    {ending}
    print("a table")
config.main = body
sys.exit(main.run(["config"]))
"""
    assert unread(["-c", code], buffered, stderr=subprocess.STDOUT).returncode == status
    assert (tmp_path / "out").read_text() == "done"


def unread(arguments, buffered, **options):
    """Run Python with its output into a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"PYTHONUNBUFFERED": "" if buffered else "1"}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=writer, env=environment, **options)
    os.close(writer)
    return done


def test_config_command_prints_the_committed_file():
    done = gradcal("config")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "config.yaml").read_text()


def test_missing_configuration_through_the_real_command(command, capsys):
    command(lambda args: common.config_of(args), common.add_config_arguments)
    assert main.run(["config", "--config", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "gradcal config: nowhere.yaml does not exist; check the name of the file.\n"
    assert main.run(["config"]) == 2
    assert "--config" in capsys.readouterr().err


def test_configuration_as_json(command):
    seen = []
    command(lambda args: seen.append(common.config_of(args)), common.add_config_arguments)
    assert main.run(["config", "--config-json", '{"seed": 7}']) == 0
    assert seen[0].seed == 7


def test_parse_assignments():
    assert common.parse_assignments(["birks_ab=0.82", " electron_lifetime = 8e2 "], "--set") == {
        "birks_ab": 0.82,
        "electron_lifetime": 800.0,
    }
    assert common.parse_assignments(None, "--set") == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["birks_ab"], "--set: 'birks_ab' is not of the form name=value."),
        (["birks_ab=high"], "--set: birks_ab = 'high' is not a number."),
        (["birks_ab=0.8", "birks_ab=0.9"], "--set: birks_ab is given twice; keep one."),
        (["electric_feild=0.5"], "--set: there is no parameter 'electric_feild'; did you mean 'electric_field'?"),
        (["electric_field=0"], "--set: electric_field = 0 kV/cm is not physical"),
        (["birks_ab=nan"], "--set: birks_ab = nan"),
    ],
)
def test_wrong_assignments_are_refused(given, expected):
    with pytest.raises(ConfigError) as caught:
        common.parse_assignments(given, "--set")
    assert str(caught.value).startswith(expected)


def test_progress_goes_through_everything_and_prints_few_lines(monkeypatch, capsys):
    clock = iter(range(0, 1000))
    monkeypatch.setattr(common, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    assert list(common.progress(range(20), "simulate")) == list(range(20))
    lines = capsys.readouterr().err.splitlines()
    # The clock moves a second or two per step: at least 5 s between lines, so at most every third step has one.
    assert 1 <= len(lines) <= 7
    assert all(line.startswith("simulate: ") and line.endswith(" of 20") for line in lines)


def test_progress_on_a_terminal_is_a_bar():
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    code = "from pipeline.cli.common import progress\nfor i in progress(range(3), 'simulate'): pass"
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stderr=follower, check=True, env=os.environ | {"TERM": "xterm"}
    )
    os.close(follower)
    time.sleep(0.1)
    assert b"simulate" in os.read(leader, 100_000)
    os.close(leader)


def test_usage_of_subcommands_is_one_line_too(command, capsys):
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_subparsers(dest="study", required=True).add_parser("benchmark").add_argument("n", type=int)

    command(lambda args: None, add_arguments)
    assert main.run(["config", "benchmark", "x"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gradcal config benchmark: ") and error.count("\n") == 1
