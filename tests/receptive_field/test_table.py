"""dlkb.receptive_field.table: rows by number and by name, and what is printed of them."""

import re

import pytest
from torch import nn

from dlkb.receptive_field import receptive_field


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, (3, 5), padding=(1, 2))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.relu(self.conv(x)) + x)


@pytest.fixture
def table():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, 2), Block(), nn.AdaptiveAvgPool2d(1))
    return receptive_field(model, (1, 30, 30))


def test_rows_by_name_number_and_container(table):
    names = [row.layer for row in table]
    assert names == ["0", "1.conv", "1.relu", "1.add", "1.relu", "2"]
    assert table["1.conv"].size == (7, 11)
    assert table["1"].reaches == table["1.add"].reaches
    assert table["1.relu"] is table[4]  # the last of the two
    assert table.last is table[-1]
    assert len(table) == 6


def test_a_wrong_name_gets_the_nearest(table):
    with pytest.raises(KeyError, match=r"named '1.con'; nearest names: '1.conv'"):
        table["1.con"]
    with pytest.raises(KeyError, match="nearest names"):
        table["qqqq"]


def test_plain_text(table):
    assert repr(table).splitlines() == [
        "layer   kind                 output  size    jump  centre  padding  dropped",
        "0       conv2d               14      3       2     1       0        1",
        "1.conv  conv2d               14      7 x 11  2     1       2 x 4    0",
        "1.add   add                  14      7 x 11  2     1       2 x 4    0",
        "2       adaptive_avg_pool2d  1       whole   0     -       -        0",
        "(2 layers that change no field are left out)",
    ]


def test_html_is_escaped_and_has_a_cell_a_heading(table):
    page = table._repr_html_()
    assert page.count("<tr>") == 5
    assert page.count("<th>") == 8
    assert page.count("<td>") == 4 * 8
    assert "(2 layers that change no field are left out)" in page
    assert not re.search(r"<(?!/?(table|thead|tbody|tr|th|td|p)>)", page)


def test_field_of_a_unit(table):
    assert table["1.conv"].field((0, 3)) == ((-2, 4), (2, 12))
    with pytest.raises(ValueError, match=r"one place for each of 2 axes: got \(3,\)"):
        table["1.conv"].field((3,))


def test_fractions_are_printed_as_such():
    """Three units of 2 pixels each, made into 4: a jump of 3/2 pixels."""
    model = nn.Sequential(nn.Conv1d(1, 1, 2, 2), nn.Upsample(scale_factor=4 / 3))
    row = receptive_field(model, (1, 6)).last
    assert (str(row.jump[0]), row.cells()[4]) == ("3/2", "3/2")
