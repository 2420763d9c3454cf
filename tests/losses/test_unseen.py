"""Classes that were not trained on: the places, the division and the naming, by hand and by loops."""

import pytest
import torch

from dlkb.losses.unseen import (
    Embedding,
    at_random_places,
    named_by_nearest,
    seen_and_unseen,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_each_image_is_moved_whole_and_to_every_place():
    """Would catch rows taken for columns, one place for all, and a last place that is never reached."""
    image = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    moved = at_random_places(image.expand(200, 2, 2), 4, generator()).view(200, 4, 4)
    places = set()
    for canvas in moved:
        row, column = divmod(int((canvas == 1).flatten().int().argmax()), 4)
        expected = torch.zeros(4, 4)
        expected[row : row + 2, column : column + 2] = image
        assert torch.equal(canvas, expected)
        places.add((row, column))
    assert len(places) == 9


def test_classes_are_divided_and_pairs_are_of_one_class():
    """Would catch a class in two parts, and pairs across classes."""
    y = torch.arange(100) % 10
    images = y[:, None, None].expand(100, 8, 8) + 1.0
    (pairs, paired), choose, test = seen_and_unseen(images, y, 7, generator())
    groups = paired.view(7, 5, 2)
    assert (groups == groups[:1, :, :1]).all()
    classes = [set(own.tolist()) for own in (paired, choose[1], test[1])]
    assert [len(own) for own in classes] == [5, 2, 3]
    assert set.union(*classes) == set(range(10))
    for x, own in ((pairs, paired), choose, test):
        assert torch.equal(x.amax(1), own + 1.0)
    assert len(choose[1]) == 20
    assert len(test[1]) == 30


def test_embedding_and_head():
    """Would catch a head that reads the hidden layer."""
    network, x = Embedding(), torch.randn(2, 3, 144, generator=generator())
    embedding, logits = network(x)
    torch.testing.assert_close(embedding, network.body(x))
    torch.testing.assert_close(logits, network.head(embedding))


def test_naming_equals_a_loop():
    """Would catch distances in place of cosines, labelled images that are counted, and mixed choices."""
    y = torch.arange(90) % 3
    features = (
        torch.randn(90, 4, generator=generator()) * torch.arange(1.0, 91)[:, None]
    )
    features[:, 0] += 40 * y
    shares = []
    for choice in range(10):
        gallery = [
            int(i)
            for c in range(3)
            for i in (y == c).nonzero()[2 * choice : 2 * choice + 2, 0]
        ]
        rest = [i for i in range(90) if i not in gallery]
        right = 0
        for i in rest:
            cosines = [
                torch.cosine_similarity(features[i], features[j], dim=0)
                for j in gallery
            ]
            right += int(y[gallery[int(torch.stack(cosines).argmax())]] == y[i])
        shares.append(right / len(rest))
    found = named_by_nearest(features, y, labelled=2)
    assert found.item() == pytest.approx(sum(shares) / 10)
    assert 0.34 < found < 0.99


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"fit on 3 by 3: got \(4, 4\)"):
        at_random_places(torch.ones(1, 4, 4), 3, generator())
    with pytest.raises(ValueError, match="needs 50 images for ten choices: got 20"):
        named_by_nearest(torch.ones(40, 2), torch.arange(40) % 2)
