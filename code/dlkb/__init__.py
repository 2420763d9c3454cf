"""The package behind "Deep Learning, Checked": small functions, from scratch, equal to torch's.

Importing ``dlkb`` imports nothing else: ``from dlkb.normalization import batch_norm`` brings in one chapter.
"""

__all__ = ["__version__"]
__version__ = "0.1.0"
