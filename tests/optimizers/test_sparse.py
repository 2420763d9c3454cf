"""Sparse gradients: of an embedding, against torch's optimizers and against the dense rule."""

import itertools

import pytest
import torch

import dlkb.optimizers as ours
from dlkb.optimizers import SGD, Adagrad, Adam, SparseAdam

# what torch's own Adagrad brings about
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")

CASES = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"lr": 0.1, "maximize": True},
    ],
    "Adagrad": [
        {"lr": 0.1},
        {"lr": 0.1, "lr_decay": 0.1, "eps": 0.1},
        {"lr": 0.1, "initial_accumulator_value": 0.5},
    ],
    "SparseAdam": [
        {"lr": 0.1},
        {"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.1},
        {"lr": 0.1, "maximize": True},
    ],
}
EACH = [(name, settings) for name, every in CASES.items() for settings in every]
# tokens of each step: twice the same, none, one that comes late
TOKENS = [[0, 2, 2], [2, 5], [], [0, 0, 0], [5, 1, 2], [2], [1, 0], [4, 4]] * 3


def embedding(sparse=True):
    layer = torch.nn.Embedding(7, 3, sparse=sparse, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
    return layer


def run(make, sparse=True, **settings):
    layer = embedding(sparse)
    optimizer = make(layer.parameters(), **settings)
    path = []
    for step, tokens in enumerate(TOKENS):
        generator = torch.Generator().manual_seed(step)
        weight = torch.randn(len(tokens), 3, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        (layer(torch.tensor(tokens, dtype=torch.long)) * weight).sum().backward()
        assert layer.weight.grad.is_sparse == sparse
        optimizer.step()
        path.append(layer.weight.detach().clone())
    return torch.stack(path), optimizer


def dense(value):
    return value.to_dense() if isinstance(value, torch.Tensor) else value


def settled(name, settings):
    return {**settings, "foreach": False} if name != "SparseAdam" else settings


@pytest.mark.parametrize(("name", "settings"), EACH)
def test_parameters_and_state_equal_torch(name, settings):
    """Fails if squares are summed before tokens that occur twice are, and if eps is corrected."""
    path, mine = run(getattr(ours, name), **settings)
    expected, theirs = run(getattr(torch.optim, name), **settled(name, settings))
    torch.testing.assert_close(path, expected, rtol=0, atol=1e-10)
    states = [o.state_dict()["state"] for o in (mine, theirs)]
    assert states[0].keys() == states[1].keys()
    for index in states[0]:
        mine, theirs = ({k: dense(v) for k, v in s[index].items()} for s in states)
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "settings"), EACH)
def test_sgd_and_adagrad_do_as_with_dense_gradients(name, settings):
    """SparseAdam does not: Adam goes on moving the rows that are not met."""
    path, _ = run(getattr(ours, name), **settings)
    kind = Adam if name == "SparseAdam" else getattr(ours, name)
    expected, _ = run(kind, sparse=False, **settings)
    gap = (path - expected).abs().max().item()
    assert gap < 1e-12 if name != "SparseAdam" else gap > 1e-3


@pytest.mark.parametrize("kind", [SGD, Adagrad, SparseAdam])
def test_rows_that_are_not_met_stay_bit_for_bit(kind):
    path, _ = run(kind, lr=0.1)
    start = embedding().weight.detach()
    for before, after, tokens in zip([start, *path[:-1]], path, TOKENS, strict=True):
        others = [row for row in range(7) if row not in tokens]
        assert torch.equal(before[others], after[others])
        if tokens:
            assert not torch.equal(before[tokens], after[tokens])
    assert torch.equal(path[-1][[3, 6]], start[[3, 6]])


def test_the_velocity_does_not_grow_by_the_step():
    _, optimizer = run(SGD, lr=0.1, momentum=0.9)
    (state,) = optimizer.state.values()
    assert state["momentum_buffer"].is_sparse
    assert state["momentum_buffer"]._nnz() <= 5  # one entry for each token met


def test_a_velocity_goes_on_when_gradients_become_dense_or_sparse():
    """torch's own fails when a sparse velocity meets a dense gradient."""
    paths = []
    for kinds in ((True, False, True), (False, False, False)):
        layer = embedding()
        optimizer = SGD(layer.parameters(), lr=0.1, momentum=0.9)
        for tokens, layer.sparse in zip(([0, 2], [2, 5], [5, 1]), kinds, strict=True):
            optimizer.zero_grad()
            layer(torch.tensor(tokens)).square().sum().backward()
            assert layer.weight.grad.is_sparse == layer.sparse
            optimizer.step()
        paths.append(layer.weight.detach())
    torch.testing.assert_close(*paths, rtol=0, atol=1e-12)


def test_squares_of_sums_are_not_sums_of_squares():
    """By hand: token 2 occurs twice, with 1 and 3; the sum of squares is 16, not 10."""
    param = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    param.grad = torch.sparse_coo_tensor(
        [[2, 2]], [1.0, 3.0], (4,), dtype=torch.float64, check_invariants=True
    )
    optimizer = Adagrad([param], lr=1.0, eps=0.0)
    optimizer.step()
    assert optimizer.state[param]["sum"].tolist() == [0, 0, 16, 0]
    assert param.tolist() == [0, 0, -1, 0]


@pytest.mark.parametrize("kind", [SGD, Adagrad])
def test_weight_decay_is_refused_before_anything_is_altered(kind):
    other = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    layer = embedding()
    optimizer = kind([other, layer.weight], weight_decay=0.1)
    before = layer.weight.detach().clone()
    layer(torch.tensor([1])).sum().backward()
    other.grad = torch.ones_like(other)
    with pytest.raises(
        ValueError, match=r"must be 0: got weight_decay=0\.1 for .* own"
    ):
        optimizer.step()
    assert torch.equal(layer.weight, before)
    assert torch.equal(other, torch.ones_like(other))


def test_sparse_adam_refuses_a_dense_gradient():
    layer = embedding(sparse=False)
    optimizer = SparseAdam(layer.named_parameters())
    layer(torch.tensor([1])).sum().backward()
    with pytest.raises(
        TypeError, match=r"got torch\.strided in parameter 'weight'; use"
    ):
        optimizer.step()


@pytest.mark.parametrize("kind", [SGD, Adagrad, SparseAdam])
def test_a_sparse_gradient_that_is_not_finite_is_named(kind):
    layer = embedding()
    optimizer = kind(layer.named_parameters(), lr=0.1)
    before = layer.weight.detach().clone()
    (layer(torch.tensor([1, 4])) * float("nan")).sum().backward()
    with pytest.raises(ValueError, match=r"6 NaN and 0 infinite .* parameter 'weight'"):
        optimizer.step()
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("kind", [SGD, Adagrad, SparseAdam])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtype_is_kept(kind, dtype):
    layer = embedding().to(dtype)
    optimizer = kind(layer.parameters(), lr=0.1)
    for tokens in itertools.islice(TOKENS, 3):
        optimizer.zero_grad()
        layer(torch.tensor(tokens, dtype=torch.long)).sum().backward()
        optimizer.step()
    assert layer.weight.dtype == dtype
    for value in optimizer.state[layer.weight].values():
        if isinstance(value, torch.Tensor) and value.dim():
            assert value.dtype == dtype
