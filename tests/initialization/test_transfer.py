"""Tasks against the digits they come from; what is kept, frozen, cut and fresh; splits that are paired."""

import itertools

import pytest
import torch
from torch import nn

from dlkb.datasets import digits
from dlkb.initialization.transfer import (
    TransferNetwork,
    digit_task,
    few_shot_split,
    fine_tuned,
)
from dlkb.train import Setting, fit_many, fit_tuned


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pretrained(seeds=(0, 1), **options):
    found = {}
    for seed in seeds:
        torch.manual_seed(100 + seed)
        found[seed] = TransferNetwork(5, channels=4, **options)
    return found


def made(make, seed=0):
    torch.manual_seed(seed)
    return make()


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[k], second[k]) for k in first
    )


# ----------------------------------------------------------------------------------------------- tasks


def test_a_task_has_all_samples_of_its_classes_relabelled_in_their_order():
    """Catches labels by size for labels by place."""
    task, everything = digit_task([7, 3, 9]), digits()
    for label, digit in enumerate((7, 3, 9)):
        assert torch.equal(task.x[task.y == label], everything.x[everything.y == digit])
    assert len(task.x) == sum((everything.y == d).sum() for d in (3, 7, 9))
    assert task.classes == ("7", "3", "9")


def test_changes():
    """Inverting and turning by hand; a permutation is one for all images, keeps grey levels, moves pixels."""
    plain = digit_task(range(5)).x
    assert torch.equal(digit_task(range(5), "inverted").x, 1 - plain)
    turned = digit_task(range(5), "rotated").x
    assert torch.equal(
        turned[:, :, 0, :], plain[:, :, :, 7]
    )  # the right edge is now on top
    mixed = digit_task(range(5), "permuted", generator=seeded()).x
    order = torch.randperm(64, generator=seeded())
    assert torch.equal(mixed.flatten(1), plain.flatten(1)[:, order])
    other = digit_task(range(5), "permuted", generator=seeded(1)).x
    assert not torch.equal(mixed, other)
    assert mixed.shape == turned.shape == plain.shape


def test_splits_have_equally_many_of_each_class_and_do_not_overlap():
    y = digit_task(range(5)).y
    train, rest = few_shot_split(y, 7, seeded())
    assert y[train].bincount().tolist() == [7] * 5
    assert torch.equal(torch.cat([train, rest]).sort().values, torch.arange(len(y)))
    _, held_out = few_shot_split(y, 7, seeded(), held_out=200)
    assert len(held_out) == 200
    again = few_shot_split(y, 7, seeded(1))[0]
    assert not torch.equal(train, again)


def test_more_samples_include_the_fewer_and_are_judged_by_the_same():
    """Catches splits that are drawn anew for each number, which would not be paired."""
    y = digit_task(range(5)).y
    found = [few_shot_split(y, count, seeded(), 300) for count in (2, 10, 50)]
    for (few, first), (more, second) in itertools.pairwise(found):
        assert torch.equal(first, second)
        assert torch.isin(few, more).all()
    train, held_out = found[-1]
    assert not torch.isin(train, held_out).any()


def test_a_split_may_use_all_that_is_left():
    y = torch.tensor([0, 1, 0, 1, 0, 1])
    train, held_out = few_shot_split(y, 2, seeded())
    assert (len(train), len(held_out)) == (4, 2)
    assert y[held_out].tolist() in ([0, 1], [1, 0])


# -------------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("head", ["linear", "connected"])
@pytest.mark.parametrize("norm", [None, nn.BatchNorm2d])
def test_shapes_and_parts(head, norm):
    network = TransferNetwork(3, depth=3, channels=4, head=head, norm=norm, dropout=0.2)
    assert network(torch.rand(2, 1, 8, 8)).shape == (2, 3)
    names = [[name for name, _ in block.named_children()] for block in network.blocks]
    middle = ["norm"] if norm else []
    later = ["dropout", "conv", *middle, "activation"]
    assert names == [["conv", *middle, "activation", "pool"], later, later]
    linear = [m for m in network.head if isinstance(m, nn.Linear)]
    sizes = [(m.in_features, m.out_features) for m in linear]
    assert sizes == ([(4, 3)] if head == "linear" else [(64, 64), (64, 3)])


def test_blocks_start_with_hes_weights():
    """Catches torch's default, whose variance is a sixth of it, and outputs counted for inputs."""
    torch.manual_seed(0)
    network = TransferNetwork(3, depth=2, channels=64)
    first = network.blocks[0].conv.weight  # of one grey level each
    assert first.square().mean().item() == pytest.approx(2 / 9, rel=0.25)
    weight = network.blocks[1].conv.weight
    assert weight.square().mean().item() == pytest.approx(2 / (64 * 9), rel=0.05)
    assert weight.abs().max().item() > 3 * weight.std().item()  # normal
    assert network.blocks[1].conv.bias.abs().max().item() == 0


def test_dropout_is_before_each_convolution_but_the_first():
    network = TransferNetwork(3, depth=3, channels=4, dropout=0.5)
    assert [b.dropout.p for b in network.blocks[1:]] == [0.5, 0.5]
    x = torch.rand(2, 1, 8, 8)
    assert not torch.equal(network(x), network(x))
    assert torch.equal(network.eval()(x), network(x))


def test_frozen_blocks_do_not_move_in_training_and_others_do():
    """Also their norms' running statistics. Catches a freeze of gradients alone."""
    task = digit_task(range(3))
    torch.manual_seed(0)
    network = TransferNetwork(3, depth=3, channels=4, norm=nn.BatchNorm2d).freeze(2)
    before = [state(block) for block in network.blocks]
    for stack in (True, False):
        runs = fit_many(
            {"a": Setting(lambda: network, 0.1)},
            *(task.x, task.y),
            seeds=[0],
            steps=5,
            batch_size=16,
            stack=stack,
        )
        after = [state(block) for block in runs.models["a"][0].blocks]
        assert [same(*pair) for pair in zip(before, after, strict=True)] == [
            True,
            True,
            False,
        ]
    network.freeze(0)
    assert all(p.requires_grad for p in network.parameters())
    assert network.train().blocks[0].training


# ------------------------------------------------------------------------------------------ fine-tuning


def test_each_seed_starts_from_its_own_pretrained_network():
    """Catches one network for all seeds, and a head that is carried over."""
    own = pretrained()
    before = {seed: state(network) for seed, network in own.items()}
    make = fine_tuned(own, 5)
    for seed in (1, 0):
        network = made(make, seed)
        assert same(state(network.blocks), state(own[seed].blocks))
        assert not same(state(network.head), state(own[seed].head))
        with torch.no_grad():
            network.blocks[0].conv.weight.zero_()
    assert all(same(before[seed], state(own[seed])) for seed in own)
    with pytest.raises(KeyError, match="no network was pretrained with seed 7"):
        made(make, 7)


def test_seeds_are_found_by_both_trainers():
    task, own = digit_task(range(5, 10)), pretrained((3, 5))
    options = {"seeds": (5, 3), "steps": 1, "batch_size": 8}
    make = fine_tuned(own, 5, frozen=4)
    runs = fit_many({"a": Setting(make, 0.1)}, task.x, task.y, **options)
    splits = [(*few_shot_split(task.y, 20, seeded(s)),) for s in (5, 3)]
    parts = [(train, test[:50], test[50:]) for train, test in splits]
    tuned = fit_tuned(make, task.x, task.y, rates=(0.1, 0.2), parts=parts, **options)
    for models in (runs.models["a"], tuned.models):
        for seed, model in zip((5, 3), models, strict=True):
            assert same(state(model.blocks), state(own[seed].blocks))


def test_blocks_that_are_not_kept_are_fresh_or_cut():
    own = pretrained()
    fresh = made(fine_tuned(own, 2, kept=2))
    kept = [
        same(state(a), state(b))
        for a, b in zip(fresh.blocks, own[0].blocks, strict=True)
    ]
    assert kept == [True, True, False, False]
    assert fresh.head[-1].out_features == 2
    again = made(fine_tuned(own, 2, kept=2))
    assert same(state(fresh), state(again))  # the seed decides
    cut = made(fine_tuned(own, 2, kept=2, cut=True, head="connected"))
    assert len(cut.blocks) == 2
    assert same(
        state(cut.blocks),
        {k: v for k, v in state(own[0].blocks).items() if k[0] in "01"},
    )
    assert cut(torch.rand(3, 1, 8, 8)).shape == (3, 2)
    nothing = made(fine_tuned(own, 2, kept=0))
    assert not same(state(nothing.blocks[0]), state(own[0].blocks[0]))


def test_frozen_and_dropout_of_the_new_network():
    own = pretrained(norm=nn.BatchNorm2d)
    network = made(fine_tuned(own, 2, kept=3, frozen=2, dropout=0.4))
    trained = [all(p.requires_grad for p in b.parameters()) for b in network.blocks]
    assert trained == [False, False, True, True]
    assert all(p.requires_grad for p in network.head.parameters())
    assert [b.dropout.p for b in network.blocks[1:]] == [0.4] * 3
    assert network.new_block(1).dropout.p == 0.4
    assert [b.dropout.p for b in own[0].blocks[1:]] == [0.0] * 3
    thawed = made(fine_tuned({0: own[0].freeze(4)}, 2))
    assert all(p.requires_grad for p in thawed.parameters())


def test_a_grid_of_arms_trains_at_once():
    """Arms of one architecture and one set of frozen blocks differ in their parameters only."""
    task, own = digit_task(range(5, 10)), pretrained()
    settings = {
        f"{frozen} {rate}": Setting(fine_tuned(own, 5, frozen=frozen), rate)
        for frozen in (0, 2)
        for rate in (0.01, 0.1)
    }
    options = {"seeds": (0, 1), "steps": 3, "batch_size": 8}
    both = [
        fit_many(settings, task.x, task.y, stack=stack, **options)
        for stack in (True, False)
    ]
    torch.testing.assert_close(both[0].loss, both[1].loss, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: digit_task([3]), r"two or more, all different: got \[3\]"),
        (lambda: digit_task([3, 3]), r"all different: got \[3, 3\]"),
        (lambda: digit_task([3, 10]), r"digits from 0 to 9: got \[3, 10\]"),
        (lambda: digit_task([3, 4], "mirrored"), "permuted: got 'mirrored'"),
        (lambda: digit_task([3, 4], "permuted"), "and no generator"),
        (lambda: digit_task([3, 4], generator=seeded()), "change=None and a generator"),
        (
            lambda: few_shot_split(torch.arange(2).repeat(3), 3, seeded()),
            "1 to 2.*got 3",
        ),
        (lambda: few_shot_split(torch.arange(2).repeat(3), 0, seeded()), "got 0"),
        (lambda: few_shot_split(torch.arange(2), 1, seeded(), 2), "held_out.*got 2"),
        (lambda: few_shot_split(torch.arange(2).repeat(3), 1, seeded(), 5), "to 0"),
        (lambda: TransferNetwork(5, depth=0), "depth must be at least 1: got 0"),
        (lambda: TransferNetwork(5, head="mlp"), "linear, connected: got 'mlp'"),
        (lambda: TransferNetwork(5).freeze(5), "frozen must be from 0 to the 4 blocks"),
        (lambda: fine_tuned(pretrained(), 5, kept=5), "kept must be .* got 5"),
        (
            lambda: fine_tuned(pretrained(), 5, kept=1, cut=True, frozen=2),
            "frozen must be from 0 to the 1 blocks: got 2",
        ),
        (lambda: fine_tuned(pretrained(), 5, kept=0, cut=True), "at least one block"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
