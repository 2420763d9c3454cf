import pytest

from dlkb.normalization import BatchNorm2d, batch_norm, batch_statistics
from dlkb.source import source


def test_shows_file_and_code_without_docstring():
    text = source(batch_statistics).text
    assert text.startswith(
        "# dlkb/normalization/batch.py\ndef batch_statistics(input: Tensor)"
    )
    assert '"""' not in text
    assert "mean = x.mean(dim=dims)" in text


def test_several_functions_stand_below_each_other():
    text = source(batch_statistics, batch_norm).text
    assert text.count("# dlkb/normalization/batch.py") == 2
    assert text.index("def batch_statistics") < text.index("def batch_norm")


def test_the_shown_code_compiles_and_works():
    namespace = {}
    exec(
        "import torch\nfrom torch import Tensor\nfrom dlkb.normalization.batch import *\n",
        namespace,
    )
    exec(
        "from dlkb.normalization.batch import _all_but_channels, _check_input, _at_least_float32, _spread\n",
        namespace,
    )
    exec(source(batch_statistics).text, namespace)
    import torch

    x = torch.tensor([[1.0], [3.0]])
    assert [t.item() for t in namespace["batch_statistics"](x)] == [2.0, 1.0]


def test_a_class_keeps_its_body_when_the_docstring_goes():
    assert "allowed_dims = (4,)" in source(BatchNorm2d).text


def test_a_function_that_is_only_a_docstring_keeps_it():
    assert '"""Nothing else."""' in source(only_a_docstring).text


def only_a_docstring():
    """Nothing else."""


def test_markdown_is_highlighted_as_python():
    assert source(batch_norm)._repr_markdown_().startswith("```python\n# dlkb/")


@pytest.mark.parametrize("thing", [len, 3, BatchNorm2d(2)])
def test_what_has_no_python_source_is_refused(thing):
    with pytest.raises(TypeError, match="for an instance, pass its type"):
        source(thing)


def test_nothing_is_refused():
    with pytest.raises(TypeError, match="got none"):
        source()
