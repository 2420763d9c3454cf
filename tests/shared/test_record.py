"""dlkb.record: an experiment's parts are kept as they come, and counted while their code stays the same."""

import json
import types

import pytest

from dlkb import record as module
from dlkb.record import code_digest, main, record, recorded

NAME = "losses/tiny"


@pytest.fixture
def experiment(monkeypatch):
    """A registered experiment of two parts; ``fail`` names the part that is interrupted."""
    calls = []
    state = types.SimpleNamespace(calls=calls, fail=None)

    def parts(device):
        def run(name):
            if state.fail == name:
                raise KeyboardInterrupt
            calls.append(name)
            return {"device": device.type, "values": [1.5, 2]}

        return {name: lambda name=name: run(name) for name in ("first", "second")}

    # in place of a function of a module with imports of its own
    monkeypatch.setattr("dlkb.train.fit_many", parts)
    monkeypatch.setitem(module.EXPERIMENTS, NAME, "dlkb.train:fit_many")
    return state


def test_a_run_is_written_with_what_decides_whether_it_counts(experiment, tmp_path):
    path = record(NAME, "cpu", tmp_path)
    assert path == tmp_path / "losses" / "tiny.json"
    run = recorded(NAME, tmp_path)
    assert run["result"]["second"] == {"device": "cpu", "values": [1.5, 2]}
    assert run["command"] == "python -m dlkb.record losses/tiny"
    assert set(run["versions"]) == {"python", "torch", "numpy"}
    assert run["seconds"].keys() == run["result"].keys() == {"first", "second"}
    assert "threads" in run["device"]
    assert set(run["code"]) == {"dlkb.train"}
    assert [p.name for p in path.parent.iterdir()] == ["tiny.json"]


def test_an_interrupted_run_goes_on_where_it_stopped(experiment, tmp_path):
    experiment.fail = "second"
    with pytest.raises(KeyboardInterrupt):
        record(NAME, "cpu", tmp_path)
    with pytest.raises(ValueError, match="no recorded run 'losses/tiny'; there are n"):
        recorded(NAME, tmp_path)
    experiment.fail = None
    record(NAME, "cpu", tmp_path)
    assert experiment.calls == ["first", "second"]
    assert set(recorded(NAME, tmp_path)["result"]) == {"first", "second"}


@pytest.mark.parametrize("key", ["code", "device", "versions"])
def test_what_other_code_or_another_machine_left_is_done_again(
    experiment, tmp_path, key
):
    experiment.fail = "second"
    with pytest.raises(KeyboardInterrupt):
        record(NAME, "cpu", tmp_path)
    left = tmp_path / "losses" / ".tiny.part"
    run = json.loads(left.read_text())
    run[key] = "another" if key == "device" else run[key] | {"dlkb.train": "0"}
    left.write_text(json.dumps(run))
    experiment.fail = None
    record(NAME, "cpu", tmp_path)
    assert experiment.calls == ["first", "first", "second"]


def test_a_new_run_replaces_the_old_one_only_when_it_is_whole(experiment, tmp_path):
    path = record(NAME, "cpu", tmp_path)
    before = path.read_bytes()
    experiment.fail = "second"
    with pytest.raises(KeyboardInterrupt):
        record(NAME, "cpu", tmp_path)
    assert path.read_bytes() == before


def test_the_code_that_counts_is_what_the_module_imports_and_no_more():
    found = module._code("dlkb.losses.race")
    assert set(found) == {
        "dlkb.losses.race",
        "dlkb.losses.boxes",
        "dlkb.losses.regression",
        "dlkb.losses._reduction",
        "dlkb.losses._shared",
    }


def test_nan_is_refused(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "dlkb.train.fit_many", lambda device: {"a": lambda: float("nan")}
    )
    with pytest.raises(ValueError, match="Out of range"):
        record(NAME, "cpu", tmp_path)


def test_an_unknown_experiment_is_refused_with_the_nearest(experiment, capsys):
    assert main(["losses/tinny"]) == 2
    err = capsys.readouterr().err
    assert "got 'losses/tinny'; the nearest: losses/tiny" in err


def test_without_a_name_the_experiments_are_listed(experiment, capsys):
    assert main([]) == 0
    assert NAME in capsys.readouterr().out.splitlines()


def test_outside_a_repository_a_folder_is_needed(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_repository_folder", lambda: tmp_path / "none")
    with pytest.raises(ValueError, match="run this in a checkout, or give --folder"):
        record(NAME, "cpu")


@pytest.mark.parametrize(
    "other", ["x = 1  # one", '"""What."""\nx = 1', "x = (\n    1\n)"]
)
def test_a_digest_ignores_comments_docstrings_and_layout(other):
    assert code_digest(other) == code_digest("x = 1")


@pytest.mark.parametrize("other", ["x = 2", "y = 1", "x = 1.0", "x += 1", "x = True"])
def test_a_digest_sees_what_is_done(other):
    assert code_digest(other) != code_digest("x = 1")


def test_what_is_recorded_was_made_by_todays_code():
    """Else ``python -m dlkb.record NAME`` must be run again."""
    folder = module._repository_folder()
    found = sorted(folder.glob("*/*.json"))
    assert {p.relative_to(folder).with_suffix("").as_posix() for p in found} == set(
        module.EXPERIMENTS
    )
    for path in found:
        run = json.loads(path.read_text())
        name = path.relative_to(folder).with_suffix("").as_posix()
        now = module._code(module.EXPERIMENTS[name].partition(":")[0])
        assert run["code"] == now, f"{path.name} was recorded before the code changed"
