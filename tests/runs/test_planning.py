import pytest
from small_recipes import one_stage, small_recipe

from fgbench.backbones import split_stream
from fgbench.methods import methods
from fgbench.papers.recipes import PROFILES, load_recipes
from fgbench.records.deviations import setting_deviations
from fgbench.runs import planning
from fgbench.runs.changed_settings import with_changes
from fgbench.runs.run import Changes
from fgbench.runs.streams import resolve_stream
from fgbench.util.errors import FgbenchError


def test_stream_labels_do_not_change_weights_and_stay_with_another_network():
    assert split_stream("tiny_d:conv#head") == ("tiny_d", "conv")
    one, other = (resolve_stream(f"tiny_d:conv{label}", ()) for label in ("", "#head"))
    assert (one.sha256, one.network) == (other.sha256, "tiny_d")
    changed = with_changes(small_recipe().resolve("quick"), Changes(backbone="tiny_m:conv"))
    assert changed.backbones == ("tiny_m:conv", "tiny_m:conv#head")


def test_weight_files_of_a_recipe_stay_only_if_they_fit_the_network():
    settings = load_recipes()["bcnn/bcnn_spp_dm@cub"].settings
    same, other = (
        with_changes(settings, Changes(backbone=stream)) for stream in ("vgg16:relu5_3", "squeezenet1_1:features")
    )
    assert same.weights == settings.weights != ()
    assert other.weights == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train": ["clasifier"]}, "stage 'only': train has no 'clasifier'; did you mean 'classifier'"),
        ({"train": ["classifier", "recurrence"]}, "train has no 'recurrence'"),
        ({"losses": ["cross_entropi"]}, "stage 'only': losses has no 'cross_entropi'; did you mean 'cross_entropy'"),
        ({"losses": ["cross_entropy", "part"]}, "losses has no 'part'"),
        ({"train": ["classifier"], "flip_once": True}, "stage 'only': flip_once is for a stage without augment"),
        (
            {"train": ["classifier", "backbone"], "augment": False, "flip_once": True},
            "stage 'only': flip_once is for a stage without augment",
        ),
    ],
)
def test_planning_refuses_an_unknown_parameter_group_or_loss(fields, message, monkeypatch):
    recipe = small_recipe(changes=one_stage(**fields))
    monkeypatch.setattr(planning, "_index", None)
    with pytest.raises(FgbenchError, match=message) as caught:
        planning.plan([recipe], "quick", [0])
    assert recipe.key in str(caught.value)


def test_planning_refuses_a_recipe_without_the_annotations_of_its_method(monkeypatch):
    monkeypatch.setattr(methods["bcnn"], "NEEDS", ("parts",))
    settings = small_recipe().resolve("quick")
    with pytest.raises(FgbenchError, match="bcnn is trained with parts, which the recipe does not allow") as caught:
        planning._check(small_recipe(), settings)
    assert caught.value.hint == 'add "parts" to its train'
    planning._check(small_recipe(train=("parts",)), settings)


def test_every_recipe_passes_the_checks_of_planning():
    for recipe in load_recipes().values():
        for profile in PROFILES:
            if recipe.profiles.get(profile) or profile == "paper":
                planning._check(recipe, recipe.resolve(profile))


def test_another_precision_is_a_deviation_that_does_not_change_the_experiment():
    recipe = small_recipe(changes=one_stage())
    settings = with_changes(recipe.resolve("quick"), Changes(precision="bf16-mixed"))
    assert settings.precision == "bf16-mixed"
    changes_experiment = {d.field: d.changes_experiment for d in setting_deviations(recipe, settings)}
    assert changes_experiment["precision"] is False
    assert changes_experiment["backbones"] is True
    assert "precision" not in {d.field for d in setting_deviations(recipe, recipe.resolve("quick"))}
    with pytest.raises(FgbenchError, match="precision"):
        small_recipe(changes={"precision": "16-true"}).resolve("quick")


def test_another_number_of_epochs_is_a_deviation_that_changes_the_experiment():
    recipe = small_recipe(changes=one_stage(epochs=9, lr_drops=[2, 4]))
    settings = with_changes(recipe.resolve("quick"), Changes(epochs=3))
    assert (settings.stages["only"].epochs, settings.stages["only"].lr_drops) == (3, (2,))
    changes_experiment = {d.field: d.changes_experiment for d in setting_deviations(recipe, settings)}
    assert changes_experiment["stages.only.epochs"] is True


def test_a_recipe_that_does_not_define_the_profile_is_blocked():
    planned = planning.plan([load_recipes()["tasn/tasn_r50@cub"]], "frozen", [0])
    assert planned.runs == ()
    assert "does not define the profile frozen" in planned.blocked["tasn/tasn_r50@cub"].reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (Changes(backbone="vgg16:relu5_3"), "bcnn/fv_sift@cub has no network to replace"),
        (Changes(precision="bf16-mixed"), "bcnn/fv_sift@cub has no network, so it has no precision"),
        (Changes(epochs=1), "bcnn/fv_sift@cub trains no network, so it has no epochs"),
        (Changes(watch_test=True), "bcnn/fv_sift@cub trains no network"),
        (Changes(compile=True), "bcnn/fv_sift@cub trains no network"),
        (Changes(watch_every=2), "--watch-every says when the test accuracy is recorded"),
    ],
)
def test_a_change_without_effect_is_refused(changes, message):
    with pytest.raises(FgbenchError, match=message):
        planning.plan([load_recipes()["bcnn/fv_sift@cub"]], "quick", [0], changes=changes)


def test_compiling_is_refused_if_no_stage_trains_a_network():
    with pytest.raises(FgbenchError, match="bcnn/bcnn_dm@cub trains no network under frozen"):
        planning.plan([load_recipes()["bcnn/bcnn_dm@cub"]], "frozen", [0], changes=Changes(compile=True))


def test_classes_of_a_person_search_are_refused():
    recipe = load_recipes()["where_to_focus/bcnn_dm@market1501"]
    with pytest.raises(FgbenchError, match="leave out --classes"):
        planning.plan([recipe], "quick", [0], changes=Changes(classes=2))
