"""Execution in real kernels: what is stored, what is left alone, and what a kill cannot break."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from bookkit.book import Book, code_cells, read_notebook
from bookkit.fresh import stale_notebooks


def run(book, *arguments, **options):
    """``python -m bookkit execute`` in a process of its own, with the small book's package in front."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(book.root / "code"), str(Book().root / "code")]
        ),
    }
    command = [
        sys.executable,
        "-m",
        "bookkit",
        "--root",
        str(book.root),
        "execute",
        *arguments,
    ]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process, status=0):
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, out + err
    return out, err


def outputs(path):
    return [
        "".join(o.get("text", ""))
        for c in code_cells(read_notebook(path))
        for o in c["outputs"]
    ]


def test_outputs_counts_and_provenance_are_stored_and_nothing_else(small_book):
    path = small_book.add("a", "print(6 * 7)", "x = 1", "print(x)")
    before = read_notebook(path)
    finish(run(small_book))
    notebook = read_notebook(path)
    assert outputs(path) == ["42\n", "1\n"]
    assert [c["execution_count"] for c in code_cells(notebook)] == [1, 2, 3]
    for old, new in zip(before["cells"], notebook["cells"], strict=True):
        assert (old["source"], old["metadata"], old["id"]) == (
            new["source"],
            new["metadata"],
            new["id"],
        )
    stored = notebook["metadata"].pop("dlkb")
    assert set(stored) == {
        "fingerprint",
        "executed",
        "seconds",
        "device",
        "python",
        "torch",
        "arithmetic",
    }
    assert notebook["metadata"] == before["metadata"]  # nothing of papermill's
    assert stale_notebooks(small_book) == {}
    assert list(path.parent.glob(".*")) == []  # nothing left beside


def test_what_is_not_stale_is_not_executed(small_book):
    path = small_book.add("a", "import time\nprint(time.time())")
    finish(run(small_book))
    first = path.read_bytes()
    out, _ = finish(run(small_book))
    assert "none stale" in out
    assert path.read_bytes() == first
    finish(run(small_book, "--force"))
    assert path.read_bytes() != first


def test_kernels_get_one_thread_a_pinned_processor_and_the_cpu(small_book):
    names = "OMP_NUM_THREADS ATEN_CPU_CAPABILITY DLKB_DEVICE MKL_CBWR"
    path = small_book.add(
        "a", f"import os\nprint(*[os.environ[n] for n in '{names}'.split()])"
    )
    finish(run(small_book))
    assert outputs(path) == ["1 avx2 cpu COMPATIBLE\n"]


def test_a_failing_cell_is_named_and_the_others_are_kept(small_book):
    good = small_book.add("good", "print('fine')")
    bad = small_book.add("bad", "x = 1", "raise ValueError('too large')")
    before = bad.read_bytes()
    _, err = finish(run(small_book), status=1)
    assert "chapters/losses/bad.ipynb, cell [2]" in err
    assert "ValueError: too large" in err
    assert outputs(good) == ["fine\n"]
    assert bad.read_bytes() == before


def test_the_books_own_package_is_run_whatever_is_installed(small_book):
    """Its code is what the fingerprint speaks of."""
    path = small_book.add("a", "from dlkb.losses import box_iou\nprint(box_iou())")
    finish(run(small_book))
    assert outputs(path) == ["iou\n"]


def test_a_notebook_that_stops_early_is_not_stored(small_book):
    path = small_book.add("a", "print(1)", "import sys\nsys.exit(0)", "print('never')")
    before = path.read_bytes()
    _, err = finish(run(small_book), status=1)
    assert "losses/a.ipynb" in err
    assert path.read_bytes() == before


def test_a_dying_kernel_hides_no_other_failure(small_book):
    small_book.add("dies", "import os\nos._exit(1)")
    small_book.add("fails", "1 / 0")
    good = small_book.add("good", "print('fine')")
    _, err = finish(run(small_book), status=1)
    for said in (
        "losses/dies.ipynb: ",
        "losses/fails.ipynb, cell [1]",
        "ZeroDivisionError",
    ):
        assert said in err
    assert outputs(good) == ["fine\n"]


def test_other_versions_than_the_pinned_ones_are_refused(small_book):
    small_book.add("a", "1")
    lock = small_book.root / "requirements" / "test.lock"
    lock.write_text(re.sub(r"torch==\S+", "torch==99.0", lock.read_text()))
    _, err = finish(run(small_book), status=2)
    assert re.search(
        r"pinned versions: got torch \S+ instead of 99.0; run `make execute`", err
    )


@pytest.mark.parametrize("moment", ["os.fsync", "pathlib.Path.replace"])
def test_stopped_while_writing_the_old_notebook_is_whole(small_book, moment):
    """Dies in the middle of the write, and between write and rename; a plain write would fail this test,
    since it never gets to either."""
    path = small_book.add("a", "1")
    before = path.read_bytes()
    program = (
        "import os, pathlib, sys\n"
        f"{moment} = lambda *_: os._exit(9)\n"
        "from bookkit.book import write_notebook\n"
        "write_notebook(pathlib.Path(sys.argv[1]), {'cells': ['x'] * 100000})\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)])
    assert done.returncode == 9
    assert path.read_bytes() == before
    assert small_book.notebooks() == [path]  # what was left beside is no notebook


def test_longest_first_and_names_choose(small_book):
    for name, seconds in (("short", 1.0), ("long", 9.0), ("new", None)):
        path = small_book.add(name, "print(1)")
        if seconds is not None:
            notebook = read_notebook(path)
            notebook["metadata"]["dlkb"] = {"seconds": seconds, "fingerprint": "0"}
            path.write_text(json.dumps(notebook))
    _, err = finish(run(small_book, "--jobs", "1"))
    done = [line.split("/")[-1] for line in err.splitlines() if line.endswith(".ipynb")]
    assert done == ["new.ipynb", "long.ipynb", "short.ipynb"]
    _, err = finish(run(small_book, "--force", "short"))
    assert "short.ipynb" in err
    assert "long.ipynb" not in err


def test_an_unknown_name_is_refused_with_the_known_ones(small_book):
    small_book.add("a", "1")
    _, err = finish(run(small_book, "nothing-like-it"), status=2)
    assert "no notebook's name contains 'nothing-like-it'" in err
    assert "chapters/losses/a.ipynb" in err


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_killed_at_twenty_random_moments_nothing_is_lost_or_halved(small_book):
    """Each kill leaves every notebook either as it was or complete; what was complete stays so."""
    names = [f"n{i}" for i in range(4)]
    for name in names:
        small_book.add(
            name, f"print('{name}')", "import time; time.sleep(0.1)", "print('end')"
        )
    draw = random.Random(0)
    complete, kills = set(), 0
    while kills < 20:
        process = run(small_book, start_new_session=True)
        deadline = time.monotonic() + draw.uniform(0.2, 2.2)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        now = set()
        for path in small_book.notebooks():
            text = outputs(path)  # valid JSON, or this raises
            assert text in ([], [f"{path.stem}\n", "end\n"])
            if text:
                now.add(path)
        assert complete <= now, "a finished notebook was lost"
        complete = now
        if len(complete) == len(names):  # all done: begin again
            complete = set()
            for name in names:
                small_book.add(
                    name,
                    f"print('{name}')",
                    "import time; time.sleep(0.1)",
                    "print('end')",
                )
    finish(run(small_book))
    assert stale_notebooks(small_book) == {}
    assert all(
        outputs(path) == [f"{path.stem}\n", "end\n"] for path in small_book.notebooks()
    )
