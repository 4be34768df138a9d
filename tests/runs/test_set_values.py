import pytest
from small_recipes import one_stage, small_recipe

from fgbench.papers.recipes import flatten, load_recipes
from fgbench.records.deviations import setting_deviations
from fgbench.runs.changed_settings import changed_settings
from fgbench.runs.run import Changes
from fgbench.runs.set_values import annotation_of, known_names
from fgbench.util.errors import FgbenchError

BCNN = load_recipes()["bcnn/bcnn_dd@cub"]


def set_in(recipe, *assignments, profile="paper"):
    return changed_settings(recipe, profile, Changes(set_values=assignments))


def test_values_have_the_types_of_the_recipe_and_are_deviations():
    settings = set_in(
        BCNN, "svm.c=10", "mirror=false", "stages.finetune.lr = 1e-2", "stages.finetune.lr_drops=[30, 40]",
        "svm.loss=squared_hinge", 'test_pipeline="resize_short(64, bilinear) | center_crop(64)"',
    )  # fmt: skip
    assert (settings.svm.c, settings.svm.loss, settings.mirror) == (10.0, "squared_hinge", False)
    assert (settings.stages["finetune"].lr, settings.stages["finetune"].lr_drops) == (0.01, (30, 40))
    changed = {d.field: d.changes_experiment for d in setting_deviations(BCNN, settings)}
    assert set(changed) == {
        "svm.c", "svm.loss", "mirror", "stages.finetune.lr", "stages.finetune.lr_drops", "test_pipeline",
    }  # fmt: skip
    assert all(changed.values())


def test_an_option_that_the_recipe_leaves_to_its_default_can_be_set():
    assert "dims" not in BCNN.settings.options
    assert set_in(BCNN, "options.dims=64").options["dims"] == 64


@pytest.mark.parametrize(
    "text",
    [
        "classifier, backbone",
        "[classifier, backbone]",
        '["classifier", "backbone"]',
        "('classifier', 'backbone')",
        '"classifier,backbone"',
        "'classifier, backbone'",
    ],
)
def test_a_list_of_texts_needs_no_quotes_and_no_brackets(text):
    assert set_in(BCNN, f"stages.finetune.train={text}").stages["finetune"].train == ("classifier", "backbone")


@pytest.mark.parametrize(
    ("text", "drops"),
    [("30", (30,)), ("30,40", (30, 40)), ("[30]", (30,)), ("(30, 40)", (30, 40)), ("[]", ()), ("", ())],
)
def test_a_list_of_numbers_needs_no_brackets_and_may_have_one_value_or_none(text, drops):
    assert set_in(BCNN, f"stages.finetune.lr_drops={text}").stages["finetune"].lr_drops == drops


def test_streams_are_a_list_of_texts_and_a_pipeline_is_one_text():
    assert set_in(BCNN, "backbones=vgg16:relu5_3").backbones == ("vgg16:relu5_3",)
    two = set_in(BCNN, "backbones=vgg16:relu5_3, vgg16:relu5_3#other").backbones
    assert two == ("vgg16:relu5_3", "vgg16:relu5_3#other")
    text = "resize_short(64, bilinear) | center_crop(64)"
    assert set_in(BCNN, f"test_pipeline={text}").test_pipeline == set_in(BCNN, f'test_pipeline="{text}"').test_pipeline


@pytest.mark.parametrize(("text", "where"), [("thirty", "stages.finetune.lr_drops.0"), ("30,x", "lr_drops.1")])
def test_a_wrong_value_of_a_list_is_named(text, where):
    with pytest.raises(FgbenchError, match=where) as caught:
        set_in(BCNN, f"stages.finetune.lr_drops={text}")
    assert caught.value.hint == "fgbench show bcnn/bcnn_dd@cub"


def test_every_setting_of_every_recipe_has_a_type():
    """Each list of the recipes can be set to itself, written without quotes and brackets."""
    for recipe in load_recipes().values():
        values = flatten(recipe.settings.model_dump(mode="json"))
        for name in known_names(recipe.settings, recipe.method):
            assert annotation_of(name, recipe.method) is not None
            if isinstance(value := values.get(name), list):
                text = ",".join(map(str, value))
                assert changed_settings(recipe, "paper", Changes(set_values=(f"{name}={text}",))) == recipe.settings


def test_a_value_is_set_under_the_profile():
    recipe = small_recipe(changes=one_stage())
    assert set_in(recipe, "stages.only.epochs=7", profile="quick").stages["only"].epochs == 7


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("svm.c", "has no value"),
        ("svm.cc=1", r"has no setting 'svm.cc'; did you mean 'svm.c'\?"),
        ("stages.finetun.lr=1", r"did you mean 'stages.finetune.lr'\?"),
        ("svm=1", "has no setting 'svm'"),
        ("svm.c=ten", "'svm.c': Input should be a valid number"),
        ("svm.c=-1", "'svm.c': Input should be greater than 0"),
        ("mirror=7", "'mirror'"),
        ("svm.loss=square", "'svm.loss'"),
        ("data=cars", "data cannot be set by --set\n  --data NAME"),
        ("test_pipeline=resize(", "is not a step such as center_crop"),
    ],
)
def test_a_wrong_assignment_is_named(assignment, message):
    with pytest.raises(FgbenchError, match=message):
        set_in(BCNN, assignment)


def test_a_name_that_is_set_twice_is_refused():
    with pytest.raises(FgbenchError, match="gives svm\\.c twice"):
        set_in(BCNN, "svm.c=1", "svm.c=2")
