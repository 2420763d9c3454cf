"""The workflows, as far as they can be tried without GitHub; Binder and the dev container alike.

check-jsonschema reads them as GitHub would, zizmor finds what is unsafe (an action that is not pinned by its
commit, a text of strangers pasted into a shell); the rest is asserted here.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from bookkit.__main__ import _parser
from bookkit.book import Book

ROOT = Book().root
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)


def read(path):
    content = yaml.safe_load(path.read_text())
    content["on"] = content.pop(True)  # YAML 1.1 takes the word for a truth
    return content


def steps_of(content):
    return [step for job in content["jobs"].values() for step in job.get("steps", [])]


def against_schema(path, schema="vendor.github-workflows"):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    return subprocess.run([*command, str(path)], capture_output=True, text=True)


def audited(path):
    tool = shutil.which("zizmor", path=Path(sys.executable).parent)
    command = [tool, "--offline", "--no-progress", "--color", "never", str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_three_workflows_are_there():
    assert [path.stem for path in WORKFLOWS] == ["pages", "test", "weekly"]


@every_workflow
def test_a_workflow_is_well_formed_and_every_job_ends(path):
    for schema in (
        "vendor.github-workflows",
        "custom.github-workflows-require-timeout",
    ):
        done = against_schema(path, schema)
        assert done.returncode == 0, done.stdout


@every_workflow
def test_a_workflow_is_safe(path):
    done = audited(path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("old", "new", "tool", "said"),
    [
        (
            "timeout-minutes: 120",
            "timeout: 120",
            against_schema,
            "'timeout' was unexpected",
        ),
        (
            "runs-on: ubuntu-24.04",
            "needs: [lint]",
            against_schema,
            "'runs-on' is a required",
        ),
        (r"checkout@\w{40} # v5.0.0", "checkout@v5", audited, "unpinned-uses"),
        ("make test", "echo ${{ github.head_ref }}", audited, "template-injection"),
        ("pull_request:", "pull_request_target:", audited, "dangerous-triggers"),
    ],
)
def test_the_tools_find_what_is_wrong(tmp_path, old, new, tool, said):
    """Else a workflow that passes them would prove nothing."""
    text, count = re.subn(old, new, (ROOT / ".github/workflows/test.yml").read_text())
    assert count
    path = tmp_path / ".github" / "workflows" / "test.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    done = tool(path)
    assert done.returncode != 0
    assert said in done.stdout


def test_each_action_is_pinned_by_one_commit_with_its_version_beside():
    pins = {}
    for path in WORKFLOWS:
        for line in re.findall(r"uses: ([^#\n]+(?:# v.+)?)", path.read_text()):
            if not line.startswith("./"):
                match = re.fullmatch(
                    r"([\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line
                )
                assert match, f"{path.name}: {line}"
                pins.setdefault(match[1], set()).add((match[2], match[3]))
    assert len(pins) >= 4
    assert all(len(found) == 1 for found in pins.values()), pins


@every_workflow
def test_what_an_expression_names_is_there(path):
    content = read(path)
    for name, job in content["jobs"].items():
        needs = job.get("needs", [])
        needs = [needs] if isinstance(needs, str) else needs
        assert set(needs) <= content["jobs"].keys(), name
        text = yaml.safe_dump(job)
        assert set(re.findall(r"\bneeds\.(\w+)", text)) <= set(needs), name
        matrix = job.get("strategy", {}).get("matrix", {})
        assert set(re.findall(r"\bmatrix\.(\w+)", text)) == matrix.keys(), name
        ids = {step.get("id") for step in job.get("steps", [])}
        assert set(re.findall(r"\bsteps\.(\w+)", text)) <= ids, name
        if uses := job.get("uses"):
            assert (ROOT / uses).is_file()
            assert "workflow_call" in read(ROOT / uses)["on"]


@every_workflow
def test_each_command_is_one_that_the_book_has(path):
    makefile = (ROOT / "Makefile").read_text()
    commands = 0
    for step in steps_of(read(path)):
        script = step.get("run", "")
        checked = subprocess.run(
            ["bash", "-n"], input=script, capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stderr
        for target in re.findall(r"^make (\S+)", script, flags=re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
            commands += 1
        for arguments in re.findall(r"-m bookkit ([\w -]+)", script):
            _parser().parse_args(shlex.split(arguments))
            commands += 1
    assert commands


def test_the_site_is_published_from_main_once_the_book_is_proven():
    jobs = read(ROOT / ".github/workflows/test.yml")["jobs"]
    pages = jobs["pages"]
    assert pages["needs"] == ["strict", "foreign"]
    assert (
        "github.event_name == 'push' && github.ref == 'refs/heads/main'" in pages["if"]
    )
    assert [step["run"] for step in jobs["strict"]["steps"] if "run" in step] == [
        "make test"
    ]
    assert jobs["elsewhere"]["strategy"]["matrix"]["system"] == [
        "macos-15",
        "windows-2025",
    ]


def test_the_site_that_is_published_is_the_one_that_is_built():
    from bookkit.site import html_folder

    steps = read(ROOT / ".github/workflows/pages.yml")["jobs"]["build"]["steps"]
    assert steps[-2]["run"].endswith("book --strict")
    built = html_folder(Book(), strict=True).relative_to(ROOT).as_posix()
    assert steps[-1]["with"]["path"] == built


@pytest.fixture
def report(tmp_path):
    """The weekly run's last step, with a stand-in for GitHub's own command; returns what that was told."""
    step = read(ROOT / ".github/workflows/weekly.yml")["jobs"]["report"]["steps"][0]
    gh = tmp_path / "gh"
    gh.write_text(
        '#!/usr/bin/env bash\nprintf "%s\\n" "$*" >> told\n'
        '[ "$2" != list ] || printf "%s" "$KNOWN"\n'
    )
    gh.chmod(0o755)

    def run(known):
        environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
        environment |= {"KNOWN": known, "TITLE": step["env"]["TITLE"], "BODY": "Log: x"}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        subprocess.run(shell, cwd=tmp_path, env=environment, check=True)
        return (tmp_path / "told").read_text().splitlines()

    return run


def test_a_failed_week_opens_an_issue(report):
    search, told = report(known="")
    assert search.startswith("issue list --state open --search in:title")
    assert told == "issue create --title The weekly run failed --body Log: x"


def test_a_second_failed_week_is_added_to_the_open_issue(report):
    assert report(known="7")[1:] == ["issue comment 7 --body Log: x"]


def test_the_weekly_run_reports_whatever_did_not_succeed():
    jobs = read(ROOT / ".github/workflows/weekly.yml")["jobs"]
    report = jobs.pop("report")
    assert set(report["needs"]) == jobs.keys()
    for name in jobs:
        assert f"needs.{name}.result != 'success'" in report["if"]
        assert f"needs.{name}.result" in report["steps"][0]["env"]["BODY"]
    assert report["if"].startswith("always()")
    assert report["permissions"] == {"issues": "write"}


# ------------------------------------------------------------------------- Binder, dev container, citation


def test_binder_installs_what_the_package_needs_with_the_same_bounds():
    listed = yaml.safe_load((ROOT / ".binder/environment.yml").read_text())[
        "dependencies"
    ]
    listed = {item.replace("pytorch-cpu", "torch") for item in listed}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["project"]["dependencies"]) <= listed
    assert set(project["build-system"]["requires"]) <= listed
    script = ROOT / ".binder" / "postBuild"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_dev_container_makes_the_environment_that_its_editor_uses():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    command = container["postCreateCommand"].partition("-m bookkit ")[2]
    name = _parser().parse_args(shlex.split(command)).name
    settings = container["customizations"]["vscode"]["settings"]
    python = settings["python.defaultInterpreterPath"]
    assert python == f"${{containerWorkspaceFolder}}/.venv/{name}/bin/python"


def test_the_citation_file_is_one():
    done = against_schema(ROOT / "CITATION.cff", "vendor.citation-file-format")
    assert done.returncode == 0, done.stdout
