"""The sentence or line that says each value of a recipe, read from `reproductions/<paper>/sources.toml`.

The file has the tables of the recipe files, with a sentence in the place of each value:

    [cub.bcnn_dd]
    stages.finetune.epochs = "paper: section 3.1, about 45 - 100 epochs, depending on the dataset and model"

A sentence for a table such as `stages.finetune` stands for all of its values that have none of their own. It begins
with the document, a key of `[documents]`, or with `ours` for a choice made here and its reason.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from fgbench.papers.printed import reproductions_root
from fgbench.papers.recipes import Recipe, flatten
from fgbench.util.errors import FgbenchError
from fgbench.util.json_toml import read_toml
from fgbench.util.validation import StrictModel, explain

FILE = "sources.toml"
"""Name of a file of sources."""
OURS = "ours"
"""Origin of values that were chosen here."""


class Document(StrictModel):
    """A document that says values."""

    title: str
    """The document, with its version or date and where it can be read."""
    origin: Literal["paper", "code"]
    """The origin of values that it says."""


class SourceFile(StrictModel):
    """The content of a file of sources."""

    documents: dict[str, Document]
    values: dict[str, dict[str, str]]
    """`<file>.<recipe>` -> dotted name of a setting or of a table of settings -> sentence."""


def sources_of(recipe: Recipe) -> dict[str, str]:
    """Return the sentence of each value that a recipe has from its files, by dotted field name; empty for no sentence.

    Raises:
        FgbenchError: the file of sources is not valid.
    """
    file = read_sources(reproductions_root() / recipe.paper)
    return {setting: _sentence(file.values.get(place, {}), setting) for setting, place in recipe.places.items()}


def _sentence(sentences: Mapping[str, str], setting: str) -> str:
    """Return the sentence of a setting, or of the closest table that contains it."""
    name = setting
    while name not in sentences and "." in name:
        name = name.rpartition(".")[0]
    return sentences.get(name, "")


def document_of(sentence: str) -> str:
    """Return the document with which a sentence begins.

    Example:
        >>> document_of("code: imdb_cnn_train.m, opts.train.numEpochs = 25")
        'code'
    """
    return sentence.partition(":")[0]


@lru_cache
def read_sources(folder: Path) -> SourceFile:
    """Return the sources of a folder of a paper; a folder without the file has none.

    Raises:
        FgbenchError: the file is not valid, or a sentence begins with an unknown document.
    """
    path = folder / FILE
    if not path.is_file():
        return SourceFile(documents={}, values={})
    content = read_toml(path)
    documents = content.pop("documents", {})
    values: dict[str, dict[str, str]] = {}
    for stem, tables in content.items():
        if not isinstance(tables, dict) or not all(isinstance(sentences, dict) for sentences in tables.values()):
            raise FgbenchError(f"{path}: {stem} has a sentence outside of a recipe", f"write it below [{stem}.RECIPE]")
        values |= {f"{stem}.{name}": flatten(sentences) for name, sentences in tables.items()}
    try:
        file = SourceFile.model_validate({"documents": documents, "values": values})
    except ValidationError as error:
        raise FgbenchError(f"{path}: {explain(error, SourceFile)}") from error
    for place, sentences in file.values.items():
        for setting, sentence in sentences.items():
            if document_of(sentence) not in {*file.documents, OURS}:
                raise FgbenchError(
                    f"{path}: {place}.{setting} begins with {document_of(sentence)[:40]!r}, which is no document",
                    f"begin with one of {', '.join([*file.documents, OURS])}, and a colon",
                )
    return file
