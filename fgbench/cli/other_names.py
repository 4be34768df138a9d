"""Other names of data sets and weight files, which fgbench suggests its own names for."""

from fgbench.util.errors import FgbenchError, nearest

DATA = {
    "birds": "cub",
    "bird": "cub",
    "cub200": "cub",
    "cub2002011": "cub",
    "caltechucsdbirds": "cub",
    "aircrafts": "aircraft",
    "airplanes": "aircraft",
    "planes": "aircraft",
    "fgvcaircraft": "aircraft",
    "car": "cars",
    "cars196": "cars",
    "stanfordcars": "cars",
    "market": "market1501",
    "cuhk": "cuhk03",
    "cuhk03labelled": "cuhk03",
    "cuhk03labeled": "cuhk03",
    "cuhk03detected": "cuhk03_detected",
    "persons": "reid",
    "pedestrians": "reid",
    "reidentification": "reid",
}
"""Name in small letters and digits -> data set, or the group `reid`."""


def suggested_data(name: str, known: list[str]) -> str:
    """Return the data set that a name probably means; empty if none is similar."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    same = {"".join(letter for letter in own if letter.isalnum()): own for own in known}
    found = DATA.get(plain) or same.get(plain, "")
    if found in known:
        return found
    clause = nearest(name, known)
    return clause.split("'")[1] if clause.startswith("did you mean") else ""


def check_data_name(name: str, verb: str) -> None:
    """Check the name of a data set.

    Args:
        name: the name that the user typed.
        verb: verb that gets the name, such as `data get`, for the command that is suggested.

    Raises:
        FgbenchError: there is no such data set. The hint is the command with the most similar name.
    """
    from fgbench import datasets
    from fgbench.datasets.image_folder import PREFIX, folder_hint

    known = datasets.names()
    if name in known or name.startswith(PREFIX):
        return
    if hint := folder_hint(name):
        raise FgbenchError(f"no data set named {name!r}", hint)
    if suggested := suggested_data(name, known):
        raise FgbenchError(f"no data set named {name!r}; did you mean {suggested!r}?", f"fgbench {verb} {suggested}")
    raise FgbenchError(f"no data set named {name!r}; {nearest(name, known)}", "fgbench data list")


def check_weights_name(name: str) -> None:
    """Check the name of a weight file.

    Raises:
        FgbenchError: there is no such file. The hint gets one of the network, the papers' own before others.
    """
    from fgbench.backbones.weight_files import weight_specs

    specs = [weight_specs[known] for known in weight_specs]
    if any(spec.name == name for spec in specs):
        return
    of_network = [spec for spec in specs if spec.network == name.lower() and spec.url]
    if of_network:
        best = min(of_network, key=lambda spec: (not spec.original, spec.name))
        names = ", ".join(spec.name for spec in of_network)
        raise FgbenchError(f"{name} has several weight files: {names}", f"fgbench weights get {best.name}")
    clause = nearest(name, [spec.name for spec in specs])
    raise FgbenchError(f"no weight file named {name!r}; {clause}", "fgbench weights list")
