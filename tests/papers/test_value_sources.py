"""Every value of a recipe has the sentence or line that says it."""

import pytest

from fgbench.papers.printed import load_papers, reproductions_root
from fgbench.papers.recipes import load_recipes
from fgbench.papers.value_sources import OURS, document_of, read_sources, sources_of
from fgbench.util.errors import FgbenchError

PAPERS, RECIPES = sorted(load_papers()), load_recipes()
by_paper = pytest.mark.parametrize("paper", PAPERS)

DOCUMENT = '[documents.paper]\ntitle = "The paper"\norigin = "paper"\n'


def recipes_of(paper):
    return [recipe for recipe in RECIPES.values() if recipe.paper == paper]


def closest(setting, sentences):
    """Return the name of a sentence for a setting: its own, or that of the closest table around it."""
    parts = setting.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in names if name in sentences), None)


@by_paper
def test_every_value_has_a_sentence(paper):
    without = {
        f"{recipe.places[setting]}: {setting}"
        for recipe in recipes_of(paper)
        for setting, sentence in sources_of(recipe).items()
        if len(sentence) <= len(document_of(sentence)) + 2
    }
    assert sorted(without) == []


@by_paper
def test_every_sentence_and_every_document_is_used(paper):
    file = read_sources(reproductions_root() / paper)
    used = {
        (place, closest(setting, file.values.get(place, {})))
        for recipe in recipes_of(paper)
        for setting, place in recipe.places.items()
    }
    written = {(place, name) for place, sentences in file.values.items() for name in sentences}
    assert sorted(written - used) == []
    begun = {document_of(sentence) for sentences in file.values.values() for sentence in sentences.values()}
    assert begun - {OURS} == set(file.documents)


@by_paper
def test_the_document_of_a_sentence_has_the_origin_of_the_value(paper):
    documents = read_sources(reproductions_root() / paper).documents
    origin_of = {name: document.origin for name, document in documents.items()} | {OURS: OURS}
    contradicted = {
        f"{recipe.places[setting]}: {setting} is {recipe.origins[setting]}, but {sentence}"
        for recipe in recipes_of(paper)
        for setting, sentence in sources_of(recipe).items()
        if origin_of.get(document_of(sentence)) != recipe.origins[setting]
    }
    assert sorted(contradicted) == []


def sentences_of(root, monkeypatch, text, key="bcnn/bcnn_dd@cub"):
    """Return the sentences of a recipe if the file of sources of its paper has a text."""
    monkeypatch.setenv("FGBENCH_REPRODUCTIONS", str(root))
    (root / "bcnn/sources.toml").write_text(text)
    return sources_of(load_recipes(root)[key])


def test_a_sentence_for_a_table_stands_for_its_values_that_have_none_of_their_own(root, monkeypatch):
    text = f"""{DOCUMENT}
    [cub.bcnn_dd]
    "stages.finetune" = "paper: section 1"
    "stages.finetune.epochs" = "ours: a guess"
    """
    sentences = sentences_of(root, monkeypatch, text)
    assert sentences["stages.finetune.epochs"] == "ours: a guess"
    assert sentences["stages.finetune.weight_decay"] == "paper: section 1"
    assert sentences["stages.classifier.epochs"] == ""


def test_a_sentence_stands_for_the_values_that_its_table_writes(root, monkeypatch):
    text = '[cub.bcnn_dd]\nstages = "ours: a guess"\n[cub.bcnn_dm.stages.finetune]\nmomentum = "ours: another one"\n'
    sentences = sentences_of(root, monkeypatch, text, "bcnn/bcnn_dm@cub")
    assert sentences["stages.finetune.epochs"] == "ours: a guess"
    assert sentences["stages.finetune.momentum"] == "ours: another one"
    assert sentences["stages.finetune.batch_size"] == ""


def test_a_paper_without_the_file_has_no_sentences(root, monkeypatch):
    monkeypatch.setenv("FGBENCH_REPRODUCTIONS", str(root))
    assert not (root / "tasn/sources.toml").exists()
    recipe = next(recipe for recipe in load_recipes(root).values() if recipe.paper == "tasn")
    assert set(sources_of(recipe).values()) == {""}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (f'{DOCUMENT}[cub.a]\nmirror = "papr: page 1"', r"cub.a.mirror begins with 'papr'", "one of paper, ours, and"),
        ('[cub.a]\nmirror = "page 1"', r"cub.a.mirror begins with 'page 1', which is no document", "one of ours"),
        (DOCUMENT.replace('"paper"', '"talk"'), "origin.*'paper' or 'code'", ""),
        (f"{DOCUMENT}[cub.a]\nmirror = true", "mirror", ""),
        ('[cub]\nmirror = "ours: a"', "cub has a sentence outside of a recipe", "below [cub.RECIPE]"),
        ('cub = "ours: a"', "cub has a sentence outside of a recipe", "below [cub.RECIPE]"),
        ("[documents.paper", "is not TOML", ""),
    ],
)
def test_a_mistake_names_the_file(tmp_path, text, message, hint):
    (tmp_path / "sources.toml").write_text(text)
    with pytest.raises(FgbenchError, match=message) as caught:
        read_sources(tmp_path)
    assert f"{tmp_path}/sources.toml" in caught.value.args[0]
    assert hint in caught.value.hint
