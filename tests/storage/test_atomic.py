"""An output is whole or absent."""

import errno
import os
import socket
import subprocess
import sys

import pytest

from pipeline.errors import FileFormatError, GradcalError
from pipeline.storage.atomic import atomic_output, check_output

from ..conftest import ROOT


def test_output_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "out.h5"
    with atomic_output(target) as temporary:
        temporary.write_text("half")
        assert temporary.parent == target.parent and not target.exists()
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert [p.name for p in target.parent.iterdir()] == ["out.h5"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_failure_leaves_the_old_output_and_nothing_else(failure, tmp_path):
    target = tmp_path / "out.h5"
    target.write_text("old")
    with pytest.raises(failure), atomic_output(target) as temporary:
        temporary.write_text("half")
        raise failure
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5"]


def test_folder_that_is_a_file_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    for function in (check_output, lambda path: atomic_output(path).__enter__()):
        with pytest.raises(FileFormatError, match=r"out\.h5 cannot be written \(.*\); choose another folder"):
            function(tmp_path / "file" / "out.h5")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FileFormatError, match="no permission to write"):
        check_output(tmp_path / "out.h5")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that nobody can write to")
def test_folder_that_nobody_can_write_to_is_refused():
    with pytest.raises(FileFormatError, match="cannot be written"), atomic_output("/proc/self/out.h5"):
        pytest.fail("the work was started")


def test_output_that_is_a_folder_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="is a folder"), atomic_output(tmp_path):
        pytest.fail("the work was started")


@pytest.mark.parametrize("kind", ["device", "pipe", "socket"])
def test_output_that_is_no_regular_file_is_refused_and_stays(kind, tmp_path, monkeypatch):
    target = tmp_path / "out.h5"
    if kind == "device":
        target.symlink_to(os.devnull)
    elif kind == "pipe":
        os.mkfifo(target)
    else:
        with socket.socket(socket.AF_UNIX) as end:
            monkeypatch.chdir(tmp_path)  # the names of sockets must be short
            end.bind(target.name)
    before = target.lstat()
    for function in (check_output, lambda path: atomic_output(path).__enter__()):
        with pytest.raises(FileFormatError, match=r"out\.h5 is a device, a pipe or a socket"):
            function(target)
    assert (target.lstat().st_ino, list(tmp_path.iterdir())) == (before.st_ino, [target])


def test_an_input_is_refused_by_whatever_name(tmp_path):
    source, link = tmp_path / "in.h5", tmp_path / "link.h5"
    source.write_text("precious")
    link.symlink_to(source)
    for target in (source, link, tmp_path / "." / "in.h5"):
        with pytest.raises(FileFormatError, match="is an input of this command"):
            check_output(target, tmp_path / "other.h5", source)
    check_output(tmp_path / "out.h5", source, tmp_path / "other.h5")


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be written"):
        check_output(tmp_path / ("x" * 300), tmp_path)


def test_full_disk_is_told(tmp_path):
    with pytest.raises(GradcalError, match="no room left"), atomic_output(tmp_path / "out.h5"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


def test_full_disk_inside_hdf5_is_told(tmp_path):
    # HDF5 notices a limit on the size of files when it closes the file, and hides it behind other errors.
    code = f"""
import resource, h5py, numpy
from pipeline.errors import FileFormatError
from pipeline.storage.atomic import atomic_output
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with atomic_output({str(tmp_path / "out.h5")!r}) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("a", data=numpy.arange(100_000.0))
except FileFormatError as error:
    print(error, flush=True)
import os
os._exit(0)  # HDF5 would try to write once more
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "no room left" in done.stdout
    assert not list(tmp_path.iterdir())
