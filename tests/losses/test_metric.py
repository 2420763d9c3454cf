"""Triplet and InfoNCE losses against torch in value and gradient, by hand, invariances, extremes, errors."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from comparing import close, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from dlkb.losses import cross_entropy, info_nce_loss, triplet_margin_loss

DEPRECATED = ("size_average", "reduce")
REDUCTIONS = ["none", "mean", "sum"]
HALVES = {torch.float16: 1e-3, torch.bfloat16: 8e-3}  # a unit in the last place
ANY = [*HALVES, torch.float32, torch.float64]


def draw(shape, seed, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (drawn * scale).to(dtype)


def triplets(shape, seed=0, dtype=torch.float64):
    """Anchors, near ones and far ones; some triplets are violated, some are not."""
    anchor = draw(shape, seed)
    near = anchor + draw(shape, seed + 1, scale=0.5)
    far = anchor + draw(shape, seed + 2)
    return [t.to(dtype) for t in (anchor, near, far)]


def scores(query, key, temperature):
    """By torch's own normalization."""
    return F.normalize(query) @ F.normalize(key).T / temperature


# ------------------------------------------------------------------------------------------ triplets


def test_names_order_and_defaults_are_torchs():
    """Apart from the two deprecated arguments, after which ours must be named."""
    ours = list(inspect.signature(triplet_margin_loss).parameters.values())
    torchs = inspect.signature(F.triplet_margin_loss).parameters.values()
    kept = [(p.name, p.default) for p in torchs if p.name not in DEPRECATED]
    assert [(p.name, p.default) for p in ours] == kept
    assert [p.name for p in ours if p.kind is p.KEYWORD_ONLY] == ["reduction"]


@pytest.mark.parametrize("shape", [(6, 4), (5, 1), (2, 3, 4), (4,)], ids=str)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_triplet_loss_equals_torchs_in_value_and_gradient(shape, swap, reduction):
    """Fails for squared distances, for positive and negative exchanged, for a swap to the larger distance."""
    arguments = {"swap": swap, "reduction": reduction}
    found, expected = (
        value_and_gradients(f, *triplets(shape), **arguments)
        for f in (triplet_margin_loss, F.triplet_margin_loss)
    )
    for a, b in zip(found, expected, strict=True):
        close(a, b)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, math.inf])
@pytest.mark.parametrize(("margin", "eps"), [(1.0, 1e-6), (0.2, 0.3), (5.0, 0.0)])
def test_norms_margins_and_eps_mean_what_torchs_mean(p, margin, eps):
    """Fails for an eps under the root, or added to the distance: it is added to each difference."""
    arguments = {"p": p, "margin": margin, "eps": eps, "reduction": "none"}
    found, expected = (
        value_and_gradients(f, *triplets((8, 3), 3), **arguments)
        for f in (triplet_margin_loss, F.triplet_margin_loss)
    )
    for a, b in zip(found, expected, strict=True):
        close(a, b)


def test_the_swap_changes_something_here():
    drawn = triplets((8, 3), 3)
    with_swap, without = (
        triplet_margin_loss(*drawn, swap=s, reduction="none") for s in (True, False)
    )
    assert (with_swap >= without).all()
    assert (with_swap > without).any()
    assert (without == 0).any()
    assert (without > 0).any()


def test_triplet_loss_by_hand():
    """Distances 5 and 5.5; on a line, the gradients are unit vectors."""
    a = torch.zeros(1, 2, dtype=torch.float64)
    near, far = torch.tensor([[3.0, 4.0]]).double(), torch.tensor([[0.0, 5.5]]).double()
    value, *gradients = value_and_gradients(triplet_margin_loss, a, near, far, eps=0.0)
    assert value.item() == pytest.approx(0.5)
    close(gradients[1], torch.tensor([[0.6, 0.8]]).double(), rtol=0, atol=1e-7)
    close(gradients[2], torch.tensor([[0.0, -1.0]]).double())
    close(gradients[0], torch.tensor([[-0.6, 0.2]]).double(), rtol=0, atol=1e-7)
    assert triplet_margin_loss(a, near, far, margin=0.5, eps=0).item() == 0
    # From the positive to the negative it is hypot(3, 1.5), nearer than 5.5.
    swapped = triplet_margin_loss(a, near, far, swap=True, eps=0).item()
    assert swapped == pytest.approx(1 + 5 - math.hypot(3, 1.5))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 100), shift=st.floats(-9, 9))
def test_shift_rotation_and_scale_of_the_embeddings(seed, scale, shift):
    """The margin scales with them."""
    drawn = triplets((5, 3), seed)
    value = triplet_margin_loss(*drawn, eps=0, reduction="none")
    q, _ = torch.linalg.qr(draw((3, 3), seed))
    moved = [t @ q + shift for t in drawn]
    close(
        triplet_margin_loss(*moved, eps=0, reduction="none"),
        value,
        rtol=1e-9,
        atol=1e-9,
    )
    scaled = triplet_margin_loss(
        *(t * scale for t in drawn), margin=scale, eps=0, reduction="none"
    )
    close(scaled, value * scale, rtol=1e-9, atol=1e-9)


def test_a_triplet_beyond_the_margin_teaches_nothing():
    a, far = torch.zeros(1, 3), torch.full((1, 3), 9.0)
    value, *gradients = value_and_gradients(triplet_margin_loss, a, a + 0.1, far)
    assert value.item() == 0
    assert all((g == 0).all() for g in gradients)


@pytest.mark.parametrize("p", [1, 2, 3, math.inf])
def test_equal_embeddings_have_finite_gradients(p):
    """With eps = 0 too, where the root of 0 has an infinite slope; then they are 0, as stated."""
    same = torch.ones(2, 3)
    for eps in (1e-6, 0.0):
        value, *gradients = value_and_gradients(
            triplet_margin_loss, same, same, same, p=p, eps=eps
        )
        assert value.item() == pytest.approx(1.0)
        assert all(g.isfinite().all() for g in gradients)
        assert bool(gradients[1].abs().sum() > 0) == (eps > 0)


# ------------------------------------------------------------------------------------------ InfoNCE


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0, 20.0])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_info_nce_is_cross_entropy_of_the_score_matrix(temperature, reduction):
    """Fails for keys in the rows, scores that are multiplied by the temperature, and lengths that count."""
    query, key = draw((7, 4), 5), draw((7, 4), 6)
    found, expected = (
        value_and_gradients(f, query, key)
        for f in (
            lambda q, k: info_nce_loss(q, k, temperature, reduction=reduction),
            lambda q, k: F.cross_entropy(
                scores(q, k, temperature), torch.arange(7), reduction=reduction
            ),
        )
    )
    for a, b in zip(found, expected, strict=True):
        close(a, b)


def test_symmetric_info_nce_is_the_mean_over_rows_and_columns():
    query, key, own = draw((7, 4), 7), draw((7, 4), 8), torch.arange(7)

    def both(q, k):
        matrix = scores(q, k, 0.1)
        return (F.cross_entropy(matrix, own) + F.cross_entropy(matrix.T, own)) / 2

    found = value_and_gradients(info_nce_loss, query, key, symmetric=True)
    for a, b in zip(found, value_and_gradients(both, query, key), strict=True):
        close(a, b)
    one, other = info_nce_loss(query, key), info_nce_loss(key, query)
    assert (one - other).abs() > 1e-3
    close(found[0], (one + other) / 2)
    each = info_nce_loss(query, key, symmetric=True, reduction="none")
    close(each.mean(), found[0])


def test_a_slow_loop_over_pairs_agrees():
    query, key = draw((5, 3), 9), draw((5, 3), 10)
    found = info_nce_loss(query, key, 0.5, reduction="none").tolist()
    for i in range(5):
        s = [(query[i] @ k / (query[i].norm() * k.norm())).item() / 0.5 for k in key]
        expected = -s[i] + math.log(math.fsum(map(math.exp, s)))
        assert found[i] == pytest.approx(expected, rel=1e-12)


def test_info_nce_by_hand():
    """Two right angles: e against 1; exchanged keys, 1 against e."""
    eye = torch.eye(2, dtype=torch.float64)
    right, wrong = math.log1p(math.exp(-1)), math.log1p(math.e)
    assert info_nce_loss(eye, eye, 1.0).item() == pytest.approx(right)
    assert info_nce_loss(eye, eye.flip(0), 1.0).item() == pytest.approx(wrong)
    assert info_nce_loss(eye * 9, eye / 9, 1.0).item() == pytest.approx(right)
    assert info_nce_loss(eye, eye, 0.5).item() == pytest.approx(
        math.log1p(math.exp(-2))
    )


def test_signature_of_info_nce():
    parameters = inspect.signature(info_nce_loss).parameters.values()
    assert [(p.name, p.default) for p in parameters][2:] == [
        ("temperature", 0.1),
        ("symmetric", False),
        ("reduction", "mean"),
    ]


@pytest.mark.parametrize("count", [1, 2, 64])
def test_equal_keys_give_chance(count):
    """The logarithm of the number of pairs; a key left out of its own sum would give less."""
    query, same = draw((count, 3), 11), torch.ones(count, 3, dtype=torch.float64)
    assert info_nce_loss(query, same).item() == pytest.approx(math.log(count), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), symmetric=st.booleans())
def test_lengths_rotation_and_order_do_not_matter(seed, symmetric):
    query, key = draw((6, 3), seed), draw((6, 3), seed + 1)
    value = info_nce_loss(query, key, symmetric=symmetric, reduction="none")
    lengths = draw((2, 6, 1), seed + 2).exp()
    q, _ = torch.linalg.qr(draw((3, 3), seed + 3))
    moved = info_nce_loss(
        query * lengths[0] @ q,
        key * lengths[1] @ q,
        symmetric=symmetric,
        reduction="none",
    )
    close(moved, value, rtol=1e-8, atol=1e-9)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    shuffled = info_nce_loss(
        query[order], key[order], symmetric=symmetric, reduction="none"
    )
    close(shuffled, value[order])
    assert (value >= 0).all()


def test_info_nce_agrees_with_our_cross_entropy():
    query, key = draw((6, 3), 12), draw((6, 3), 13)
    close(
        info_nce_loss(query, key),
        cross_entropy(scores(query, key, 0.1), torch.arange(6)),
    )


@pytest.mark.parametrize("dtype", ANY)
def test_small_temperatures_zeros_and_long_vectors_are_finite(dtype):
    """exp(1 / 0.001) is infinite; a length of 0 would divide; 3e4 squared is infinite in float16."""
    query = torch.tensor([[1.0, 0], [0, 3e4], [0.1, 0.1]], dtype=dtype)
    for temperature in (1e-3, 1.0):
        found = value_and_gradients(
            info_nce_loss, query, query.flip(0), temperature=temperature, symmetric=True
        )
        assert all(f.isfinite().all() for f in found)
        assert found[0].item() > 0
    zero = torch.zeros(3, 2, dtype=dtype)
    value = info_nce_loss(query, zero)
    assert value.item() == pytest.approx(math.log(3), rel=1e-2)
    if dtype not in HALVES:
        assert all(
            f.isfinite().all() for f in value_and_gradients(info_nce_loss, query, zero)
        )


# --------------------------------------------------------------------------------- both, dtypes, errors


def test_gradients_are_those_of_the_values():
    drawn = [t.requires_grad_() for t in triplets((4, 3), 14)]
    for swap in (False, True):
        assert torch.autograd.gradcheck(
            lambda a, p, n, swap=swap: triplet_margin_loss(a, p, n, swap=swap), drawn
        )
    pair = [draw((4, 3), s).requires_grad_() for s in (15, 16)]
    for symmetric in (False, True):
        assert torch.autograd.gradcheck(
            lambda q, k, s=symmetric: info_nce_loss(q, k, symmetric=s), pair
        )


@pytest.mark.parametrize("dtype", HALVES)
def test_half_inputs_lose_no_more_than_the_last_rounding(dtype):
    """512 squares added up, and eps = 1e-6 beside 1, in a half type would lose far more."""
    drawn = triplets((20, 512), 17, dtype)
    for loss, inputs in (
        (triplet_margin_loss, drawn),
        (info_nce_loss, drawn[:2]),
    ):
        found, expected = (
            loss(*(t.to(d) for t in inputs), reduction="none")
            for d in (dtype, torch.float64)
        )
        assert found.dtype == dtype
        close(found.double(), expected, rtol=2 * HALVES[dtype], atol=1e-5)


@pytest.mark.parametrize("dtype", ANY)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_dtypes_are_kept_and_nothing_is_reduced_as_torch_does(dtype, reduction):
    """No triplets and no pairs: sum 0, mean NaN."""
    for loss, inputs in (
        (triplet_margin_loss, triplets((4, 3), 18, dtype)),
        (info_nce_loss, triplets((4, 3), 18, dtype)[:2]),
    ):
        output = loss(*inputs, reduction=reduction)
        assert output.dtype == dtype
        assert output.device == inputs[0].device
        none = loss(*(t[:0] for t in inputs), reduction=reduction)
        close(
            none,
            F.mse_loss(torch.zeros(0), torch.zeros(0), reduction=reduction).to(none),
        )
        assert none.shape == ((0,) if reduction == "none" else ())


def test_vmap_gives_what_a_loop_gives():
    drawn = triplets((3, 4, 5), 19)
    for loss, inputs in ((triplet_margin_loss, drawn), (info_nce_loss, drawn[:2])):
        looped = torch.stack([loss(*each) for each in zip(*inputs, strict=True)])
        close(torch.func.vmap(loss)(*inputs), looped)


def test_wrong_triplets():
    x = torch.zeros(3, 2)
    for name, inputs in (
        ("anchor", (x.long(), x, x)),
        ("positive", (x, x.long(), x)),
        ("negative", (x, x, x.long())),
    ):
        with pytest.raises(
            TypeError, match=rf"{name} must be floating point: got torch\.int64"
        ):
            triplet_margin_loss(*inputs)
    for name, inputs in (("positive", (x, x[:1], x)), ("negative", (x, x, x[:1]))):
        with pytest.raises(
            ValueError, match=rf"{name} must have the shape.*\(3, 2\).*got \(1, 2\)"
        ):
            triplet_margin_loss(*inputs)
    one = torch.tensor(1.0)
    with pytest.raises(ValueError, match=r"anchor must be \(\*, D\): got a single"):
        triplet_margin_loss(one, one, one)
    for name in ("margin", "p"):
        for bad in (0, -1.0, math.nan):
            with pytest.raises(ValueError, match=f"{name} must be positive: got {bad}"):
                triplet_margin_loss(x, x, x, **{name: bad})


def test_wrong_pairs():
    x = torch.zeros(3, 2)
    for name, inputs in (("query", (x.long(), x)), ("key", (x, x.long()))):
        with pytest.raises(
            TypeError, match=rf"{name} must be floating point: got torch\.int64"
        ):
            info_nce_loss(*inputs)
    for bad in (x[0], x[None]):
        with pytest.raises(ValueError, match=r"query must be \(N, D\).*got shape \("):
            info_nce_loss(bad, bad)
    with pytest.raises(
        ValueError, match=r"key must have the shape of query, \(3, 2\).*got \(4, 2\)"
    ):
        info_nce_loss(x, torch.zeros(4, 2))
    # A promotion in silence would hide an encoder of another precision; matmul's own message names m1, m2.
    for other in (torch.float64, torch.float16):
        with pytest.raises(
            TypeError,
            match=rf"key must have the dtype of query, torch\.float32.*got {other}; use key\.to",
        ):
            info_nce_loss(x, x.to(other))
    for bad in (0, -0.1, math.nan):
        with pytest.raises(
            ValueError, match=f"temperature must be positive: got {bad}"
        ):
            info_nce_loss(x, x, bad)
