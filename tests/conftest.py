"""What all tests share: where the shared data are."""

import os
from pathlib import Path

# As the command does, before anything loads NumPy: a fit in the process of the tests must give the bytes of one in its
# own, and sums of linear algebra depend on the number of threads.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# Tests run in a process per core, and where there are more threads than cores, those of OpenMP lose most of their time
# waiting for each other. Numba sets the number of its own in torch, too.
os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs first: they take longest, and at the end one process would be left with them."""
    items.sort(key=lambda item: "workflow" not in item.path.relative_to(ROOT).parts)


class SharedData:
    """A folder of data; `shared_data / "name"` is a path, and a missing file fails the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __truediv__(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            pytest.fail(f"{self.folder} is there but holds no {name}")
        return path


def data_folder() -> Path:
    """Where the shared data are expected: GRADCAL_DATA, or ../shared/data beside the repository."""
    return Path(os.environ.get("GRADCAL_DATA") or ROOT / ".." / "shared" / "data").resolve()


@pytest.fixture(scope="session")
def shared_data() -> SharedData:
    """The shared data (see `data_folder`); skips where there is no such folder."""
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} does not exist (set GRADCAL_DATA)")
    return SharedData(folder)
