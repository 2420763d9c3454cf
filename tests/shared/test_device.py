import pytest
import torch

from dlkb import device
from dlkb.device import choose_device


@pytest.fixture
def machine(monkeypatch):
    """Pretend that a machine has these devices."""
    monkeypatch.delenv("DLKB_DEVICE", raising=False)

    def present(**counts):
        monkeypatch.setattr(
            device, "_count", lambda kind: {"cpu": 1, **counts}.get(kind, 0)
        )

    return present


@pytest.mark.parametrize(
    ("present", "chosen"),
    [({}, "cpu"), ({"mps": 1}, "mps"), ({"mps": 1, "cuda": 2}, "cuda")],
)
def test_the_best_device_is_chosen(machine, present, chosen):
    machine(**present)
    assert choose_device() == torch.device(chosen)


def test_the_environment_overrides_the_choice_and_the_argument_overrides_both(
    machine, monkeypatch
):
    machine(cuda=2)
    monkeypatch.setenv("DLKB_DEVICE", "cuda:1")
    assert choose_device() == torch.device("cuda:1")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "device must name a torch device.*got 'gpu'"),
        ("cuda:2", r"that is here \(cuda, cpu\): got 'cuda:2'"),
        ("mps", r"that is here \(cuda, cpu\): got 'mps'"),
        ("meta", "that is here"),
    ],
)
def test_unknown_and_absent_devices(machine, name, message):
    machine(cuda=2)
    with pytest.raises(ValueError, match=message):
        choose_device(name)


def test_the_message_names_the_variable(machine, monkeypatch):
    machine()
    monkeypatch.setenv("DLKB_DEVICE", "cuda")
    with pytest.raises(ValueError, match="DLKB_DEVICE must name a device that is here"):
        choose_device()


def test_no_global_flag_is_touched(machine):
    machine()
    flags = lambda: (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.get_num_threads(),
    )
    before = flags()
    choose_device()
    assert flags() == before
