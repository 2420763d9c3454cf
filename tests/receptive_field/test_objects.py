"""dlkb.receptive_field.objects: the pictures, pixel by pixel, and what they tell about their class."""

import pytest
import torch

from dlkb.receptive_field.objects import draw_brackets


def draw(lengths, image_size, **options):
    generator = torch.Generator().manual_seed(options.pop("seed", 0))
    options = {"noise": 0.0, "generator": generator, **options}
    return draw_brackets(torch.as_tensor(lengths), image_size, **options)


def rows(picture):
    return ["".join(".#"[int(v)] for v in row) for row in picture[0].tolist()]


def test_the_four_classes_by_hand():
    """Fails for swapped ends, for up and down swapped, and for ticks of another length."""
    x, _ = draw([5, 5, 5, 5], 7, y=torch.arange(4))
    none, right, left, both = (rows(picture) for picture in x)
    bar, ends = ".#####.", ".#...#."
    assert none == [".......", ".......", ".......", bar, ends, ends, "......."]
    assert both == none[::-1]
    assert right[1:6] == [".....#.", ".....#.", bar, ".#.....", ".#....."]
    assert left[1:6] == [".#.....", ".#.....", bar, ".....#.", ".....#."]


def test_a_stroke_of_two_is_the_same_picture_twice_as_large():
    """Fails for ticks or bars that do not grow with the stroke: halving gives whole pixels."""
    lengths, y = torch.tensor([3, 5, 9, 11]), torch.arange(4)
    small = draw(lengths, 15, y=y).x
    large = draw(2 * lengths, 30, y=y, stroke=2).x
    assert torch.equal(torch.nn.functional.avg_pool2d(large, 2), small)


def test_a_shift_moves_the_object_down_and_right():
    still = draw([5], 13, y=torch.tensor([1])).x
    moved = draw([5], 13, y=torch.tensor([1]), shift=torch.tensor([[2, -3]])).x
    assert torch.equal(moved, still.roll((2, -3), (2, 3)))


@pytest.mark.parametrize(("bit", "side"), [(2, slice(0, 10)), (1, slice(11, 21))])
def test_each_end_alone_tells_its_bit(bit, side):
    """Fails if a class leaks elsewhere: only the pixels of that end differ, and the noise is the same."""
    y = torch.arange(4)
    one = draw([9] * 4, 21, y=y, noise=0.2, pieces=5).x
    other = draw([9] * 4, 21, y=y ^ bit, noise=0.2, pieces=5).x
    changed = (one != other).any(0)[0]
    columns = changed.any(0).nonzero().flatten().tolist()
    assert len(columns) == 1
    assert columns[0] in range(21)[side]
    assert changed.sum() == 4


def test_pieces_keep_off_the_object_and_lie_everywhere_else():
    """Fails for clutter over the object, or never at the edge of the picture."""
    lengths = torch.full((400,), 5)
    y = torch.zeros(400, dtype=torch.int64)
    clean, cluttered = (draw(lengths, 15, y=y, pieces=p).x for p in (0, 6))
    added = (cluttered != clean).any(0)[0]
    near = torch.zeros(15, 15, dtype=torch.bool)
    near[4:11, 4:11] = True  # the box of 5 by 5 and the pixels next to it
    assert torch.equal(added, ~near)


def test_one_piece_is_a_corner():
    """Fails for pieces of another shape than the end of an object."""
    x = draw(torch.full((50,), 3), 41, pieces=1, y=torch.zeros(50).long()).x
    clean = draw(torch.full((50,), 3), 41, y=torch.zeros(50).long()).x
    counts = (x - clean).sum((1, 2, 3))
    assert counts.max() == 6
    assert (counts == 6).float().mean() > 0.6


def test_classes_are_drawn_evenly_and_noise_has_its_deviation():
    x, y = draw([3] * 4000, 9, noise=0.3)
    assert torch.bincount(y, minlength=4).min() > 900
    assert abs(x[:, 0, 0].std() - 0.3) < 0.01


def test_the_seed_fixes_the_pictures():
    assert torch.equal(*(draw([5] * 3, 9, pieces=2, noise=0.1).x for _ in range(2)))
    assert not torch.equal(*(draw([5] * 3, 9, noise=0.1, seed=s).x for s in (0, 1)))


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="at least 3 strokes of 2: got 5"):
        draw([5], 9, stroke=2)
    with pytest.raises(ValueError, match=r"from 0 to 3: got \[4\]"):
        draw([5], 9, y=torch.tensor([4]))
