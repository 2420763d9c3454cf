"""Losses of distances between embeddings: like ones close, unlike ones apart."""

import torch
from torch import Tensor

from dlkb.losses._reduction import check_reduction, reduce
from dlkb.losses._shared import (
    _at_least_float32,
    _check_floating,
    _check_positive,
    _check_same_shape,
)
from dlkb.losses.classification import log_softmax

__all__ = ["info_nce_loss", "triplet_margin_loss"]


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    r"""How much the positive is not closer to the anchor than the negative is, by the margin.

    loss = max(margin + d(anchor, positive) - d(anchor, negative), 0), d(x, y) = \|x - y + eps\|_p

    Conventions: torch's, where eps is added to each coordinate's difference; FaceNet uses squared distances
    of embeddings of length 1, and margin 0.2. torch's deprecated ``size_average`` and ``reduce`` are left
    out, so ``reduction`` must be given by name. Unlike torch, shapes must be equal.
    Args:
        anchor, positive, negative: (\*, D), of one shape, floating point.
        margin: positive, in units of the distance.
        p: the norm's exponent, positive.
        eps: added to each difference, so that equal embeddings have a gradient; with 0 it is 0.
        swap: take d(positive, negative) for d(anchor, negative) where that is smaller.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    Returns: (\*), or a scalar; dtype of ``anchor``.
    Raises: TypeError: if one is not floating point. ValueError: for different shapes, no axis, margin or p
        that is not positive, or an unknown reduction.
    Example:
        >>> a, near, far = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 5.5]])
        >>> triplet_margin_loss(a, near, far)  # 1 + 5 - 5.5
        tensor(0.5000)

    References: Schroff, Kalenichenko & Philbin, CVPR 2015, Sec. 3, arXiv:1503.03832.
    """
    check_reduction(reduction)
    _check_positive(margin=margin, p=p)
    _check_floating(anchor=anchor, positive=positive, negative=negative)
    if anchor.dim() == 0:
        raise ValueError("anchor must be (*, D): got a single number")
    _check_same_shape(anchor, positive=positive, negative=negative)
    a, near, far = (_at_least_float32(x) for x in (anchor, positive, negative))

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return torch.linalg.vector_norm(x - y + eps, ord=p, dim=-1)

    to_negative = distance(a, far)
    if swap:
        to_negative = torch.minimum(to_negative, distance(near, far))
    losses = torch.clamp(margin + distance(a, near) - to_negative, min=0)
    return reduce(losses, reduction).to(anchor.dtype)


def info_nce_loss(
    query: Tensor,
    key: Tensor,
    temperature: float = 0.1,
    symmetric: bool = False,
    reduction: str = "mean",
) -> Tensor:
    r"""Cross-entropy of finding each query's own key among all keys of the batch.

    loss_i = -log(exp(s_ii) / sum_j exp(s_ij)), where s_ij = cos(query_i, key_j) / temperature

    Conventions: row i of ``key`` belongs to row i of ``query``; the other N - 1 keys are its negatives.
    The score is the cosine, as in SimCLR and CLIP (the paper's is bilinear). Chance gives log N, which also
    limits the mutual information that the loss can show. ``symmetric`` takes the mean with the loss of
    finding each key's query, as CLIP does.
    Args:
        query, key: (N, D), floating point, of one dtype; their lengths do not matter.
        temperature: positive.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``, over the pairs.
    Returns: (N,), or a scalar; dtype of ``query``.
    Raises: TypeError: if one is not floating point, or dtypes differ. ValueError: for shapes that differ or
        are not (N, D), temperature that is not positive, or an unknown reduction.
    Example:
        >>> info_nce_loss(torch.eye(2), torch.eye(2), temperature=1.0)  # -log(e / (e + 1))
        tensor(0.3133)

    References: van den Oord, Li & Vinyals, 2018, Eq. 4, arXiv:1807.03748; Chen et al., ICML 2020, Sec. 2.1,
    arXiv:2002.05709 (SimCLR); Radford et al., ICML 2021, Sec. 2.3, arXiv:2103.00020 (CLIP).
    """
    check_reduction(reduction)
    _check_positive(temperature=temperature)
    _check_floating(query=query, key=key)
    if query.dim() != 2:
        raise ValueError(
            f"query must be (N, D), one row a pair: got shape {tuple(query.shape)}"
        )
    if key.shape != query.shape:
        raise ValueError(
            f"key must have the shape of query, {tuple(query.shape)}, row i belonging to row i: "
            f"got {tuple(key.shape)}"
        )
    if key.dtype != query.dtype:
        raise TypeError(
            f"key must have the dtype of query, {query.dtype}, since each is scored against the other: "
            f"got {key.dtype}; use key.to(query.dtype)"
        )
    scores = _unit(query) @ _unit(key).T / temperature  # (N queries, N keys)
    if not len(query):
        return reduce(scores.sum(1), reduction).to(query.dtype)
    losses = -log_softmax(scores, 1).diagonal()
    if symmetric:
        losses = (losses - log_softmax(scores, 0).diagonal()) / 2
    return reduce(losses, reduction).to(query.dtype)


def _unit(x: Tensor) -> Tensor:
    """Rows of length 1; rows of 0 stay 0."""
    x = _at_least_float32(x)
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / length.clamp(min=1e-12)
