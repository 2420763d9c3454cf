"""The commands of the book: ``python -m bookkit COMMAND``; the Makefile forwards to it."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bookkit.book import Book


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, RuntimeError) as error:
        print(f"bookkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bookkit: interrupted; what was finished is kept", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bookkit", description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=Book().root, help="the book's folder"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    env = command(
        "env",
        _env,
        "install an environment, if its lock has changed, and print its Python",
    )
    env.add_argument("name", choices=["book", "test", "lab", "newest"])
    command("lock", _lock, "write requirements/*.lock anew")
    command(
        "inventory",
        _inventory,
        "write anew where torch documents the names that the book mentions",
    )
    book = command("book", _book, "build the site and print where it is")
    book.add_argument(
        "--strict",
        action="store_true",
        help="whole, into a folder of its own; warnings are errors",
    )
    command("serve", _serve, "build the site, serve it, and rebuild on every change")
    command("lab", _lab, "open the notebooks in JupyterLab")
    execute = command("execute", _execute, "execute stale notebooks")
    execute.add_argument(
        "names", nargs="*", help="parts of notebooks' names; all if none is given"
    )
    execute.add_argument(
        "--force", action="store_true", help="also those that are not stale"
    )
    execute.add_argument(
        "--jobs", type=int, help="kernels at once; one a core if not given"
    )
    command(
        "foreign",
        _foreign,
        "run every notebook as another processor would; only bounds count",
    )
    plain = command(
        "plain",
        _plain,
        "run notebooks as plain Python, without Jupyter, on any device; only bounds count",
    )
    plain.add_argument("names", nargs="*", help="parts of notebooks' names")
    plain.add_argument("--device", default="cuda", help="a torch device; cuda")
    mutate = command(
        "mutate",
        _mutate,
        "try the wrong changes that each check must notice, where something changed",
    )
    mutate.add_argument(
        "--force", action="store_true", help="also those that are on record as caught"
    )
    test = command("test", _test, "everything CI checks")
    test.add_argument(
        "--only", choices=["style", "unit", "notebooks", "site"], help="one part"
    )
    command("bench", _bench, "measure the figures: building, executing")
    repository = command(
        "set-repository",
        _set_repository,
        "write the repository's address everywhere, or the one that is set again",
    )
    repository.add_argument(
        "url", nargs="?", help="https://github.com/OWNER/NAME; as it is if not given"
    )
    repository.add_argument(
        "--ref", help="the branch or tag that notebooks belong to; main at first"
    )
    command("clean", _clean, "remove what was built")
    return parser


def _env(options) -> int:
    from bookkit import environments

    print(environments.ensure(options.name))
    return 0


def _lock(options) -> int:
    from bookkit import environments

    environments.lock()
    return 0


def _inventory(options) -> int:
    from bookkit import inventory

    inventory.write(Book(options.root))
    return 0


def _book(options) -> int:
    from bookkit import site

    return site.build(Book(options.root), strict=options.strict)


def _serve(options) -> int:
    from bookkit import site

    return site.serve(Book(options.root))


def _lab(options) -> int:
    return subprocess.call(
        [sys.executable, "-m", "jupyterlab", str(Book(options.root).chapters)]
    )


def _execute(options) -> int:
    from bookkit.execute import execute

    failed = execute(Book(options.root), options.names, options.force, options.jobs)
    return 1 if failed else 0


def _foreign(options) -> int:
    from bookkit import proof

    return proof.run_notebooks(Book(options.root), foreign=True)


def _plain(options) -> int:
    from bookkit import plain

    return 1 if plain.run(Book(options.root), options.names, options.device) else 0


def _mutate(options) -> int:
    from bookkit.caught import mutate

    return 1 if mutate(Book(options.root), options.force) else 0


def _test(options) -> int:
    from bookkit import proof

    return proof.run(Book(options.root), options.only)


def _bench(options) -> int:
    from bookkit import bench

    return bench.run(Book(options.root))


def _set_repository(options) -> int:
    from bookkit import repository

    book = Book(options.root)
    changed = repository.set_repository(book, options.url, options.ref)
    for path in changed:
        print(book.name(path))
    now = repository.read(book)
    print(
        f"{len(changed)} files changed; address {now.url or 'not set'}, ref {now.ref}"
    )
    return 0


def _clean(options) -> int:
    root = options.root
    for folder in (
        root / "_build",
        root / ".pytest_cache",
        root / ".ruff_cache",
        root / ".hypothesis",
    ):
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUTF8", "1")
    sys.exit(main())
