"""Weight files of the models of timm: search, and comparison with the hashes under which they are published."""

import re
from pathlib import Path
from typing import Any

import fgbench.util.torch_compat  # noqa: F401 - before the first import of timm
from fgbench.backbones.weights import find_file
from fgbench.util.errors import MissingError

_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")
"""The first digits of the SHA-256 in the name of a published file, which torch.hub verifies."""


def find_timm_weights(network: str) -> Path:
    """Return the weight file of `timm/<model>`.

    It is `<model>.safetensors` or `<model>.pth` in a weight folder, or a file in the cache of Hugging Face.

    Raises:
        MissingError: There is no such file.
    """
    name = network.removeprefix("timm/")
    if file := find_file((f"{name}.safetensors", f"{name}.pth")) or _downloaded(_config(network)):
        return file
    raise MissingError(
        "weights",
        f"timm/{name} needs {name}.safetensors in a folder of FGBENCH_WEIGHTS or in the cache of Hugging Face",
        f"python -c \"import fgbench.util.torch_compat, timm; timm.create_model('{name}', pretrained=True)\"",
    )


def is_published(network: str, sha256: str) -> bool:
    """Return True if a hash is known to be that of the published weights of `timm/<model>`.

    Known are the digits in the file name of the address that timm has, and the hash by which the cache of Hugging Face
    names the file that it downloaded from the repository that timm has.

    Args:
        network: `timm/<model>`.
        sha256: SHA-256 of a file, in hex.
    """
    config = _config(network)
    digits = _DIGITS.search(getattr(config, "url", None) or "")
    downloaded = _downloaded(config)
    return bool(digits and sha256.startswith(digits[1])) or bool(downloaded and downloaded.resolve().name == sha256)


def unused_layers(network: str) -> set[str]:
    """Return the beginnings of the names of layers that a file of `timm/<model>` has and that no tap uses."""
    names = getattr(_config(network), "classifier", None) or ()
    return {name.partition(".")[0] for name in ((names,) if isinstance(names, str) else names)}


def _config(network: str) -> Any:
    """Return timm's description of the published weights of a model; None if there are none."""
    import timm

    name = network.removeprefix("timm/")
    return timm.get_pretrained_cfg(name) if timm.is_model(name) else None


def _downloaded(config: Any) -> Path | None:
    """Return the file in the cache of Hugging Face; None if there is none."""
    from huggingface_hub import try_to_load_from_cache

    if config is None or not config.hf_hub_id:
        return None
    cached = try_to_load_from_cache(config.hf_hub_id, config.hf_hub_filename or "model.safetensors")
    return Path(cached) if isinstance(cached, str) else None
