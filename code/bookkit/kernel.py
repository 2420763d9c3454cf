"""What a notebook's kernel is started with, when it is executed and when it is compared."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bookkit.book import Book

# One thread and one instruction set, so that other processors give the same bits. MKL keeps to a set by name
# on processors of its own maker only, and to COMPATIBLE on all.
PINNED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "PYTHONHASHSEED": "0",
    "DLKB_DEVICE": "cpu",
}
# An older processor: even the draws of randn differ.
FOREIGN = PINNED | {
    "OPENBLAS_CORETYPE": "Nehalem",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}


@contextmanager
def kernel_environment(book: Book, pinned: dict[str, str] = PINNED) -> Iterator[None]:
    """Within the block, kernels start with these variables, with this book's package first on the path
    (another copy may be installed), and without the user's own IPython profile, whose history would cost a
    lock and whose start-up files would change results."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile_default"
        profile.mkdir()
        settings = "c.HistoryManager.enabled = False\nc.IPKernelApp.log_level = 40\n"
        (profile / "ipython_kernel_config.py").write_text(settings)
        path = [str(book.package.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **pinned,
            "IPYTHONDIR": folder,
            "PYTHONPATH": os.pathsep.join(path),
        }
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
