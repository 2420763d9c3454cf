"""Build the site, and serve it while it is being written."""

import subprocess
import sys
from pathlib import Path

from bookkit.book import Book


def build(book: Book, strict: bool = False) -> int:
    """Build the site and print the address of its front page; return the builder's exit status.

    Args:
        strict: build the whole site into ``_build/strict``, and fail on any warning. (An incremental
            build would report a broken reference once, and pass the next time.)
    """
    folder = book.build / "strict" if strict else book.build
    run = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "build", str(book.root), "-n"]
    command += ["--path-output", str(folder if strict else book.root)]
    if strict:
        command += ["-W", "--keep-going", "--all"]
    status = subprocess.call(command)
    front = html_folder(book, strict) / "index.html"
    if status == 0:
        print(f"\nThe book is at {front.as_uri()}")
    return status


def html_folder(book: Book, strict: bool = False) -> Path:
    """Where the pages of a build lie."""
    return book.build / ("strict/_build/html" if strict else "html")


def serve(book: Book) -> int:
    """Build, serve on this machine alone, rebuild when a file changes; until interrupted."""
    from livereload import Server

    status = build(book)
    if status:
        return status
    server = Server()
    for pattern in (
        "chapters/**/*.md",
        "chapters/**/*.ipynb",
        "data/claims/*.yml",
        "_static/*",
        "_*.yml",
        "*.bib",
    ):
        server.watch(str(book.root / pattern), lambda: build(book))
    server.serve(
        root=str(html_folder(book)), host="127.0.0.1", port=8000, open_url_delay=None
    )
    return 0
