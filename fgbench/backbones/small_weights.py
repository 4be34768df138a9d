"""Weight files of the small networks of the profile `quick`, which are part of the package.

`fgbench weights train` makes them.
"""

from pathlib import Path

SMALL_NETWORKS = ("tiny_d", "tiny_m")
"""Names of the small networks."""
_FOLDER = Path(__file__).with_name("small")


def small_weights(network: str) -> Path:
    """Return the weight file of a small network.

    Args:
        network: a name in `SMALL_NETWORKS`.
    """
    return _FOLDER / f"{network}.safetensors"
