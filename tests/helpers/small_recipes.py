"""A recipe on small networks, with settings to choose."""

from fgbench.papers.recipe_files import Profile
from fgbench.papers.recipes import load_recipes


def small_recipe(streams=("vgg16:relu5_3", "vgg16:relu5_3#head"), method="bcnn", train=(), changes=None, replaced=None):
    """Return B-CNN [D,M], whose profile `quick` uses the small networks."""
    recipe = load_recipes()["bcnn/bcnn_dm@cub"]
    profile = Profile(
        set={"data": "synthetic_birds", **(changes or {})},
        streams=replaced or {"vgg16:relu5_3": "tiny_d:conv", "vggm:relu5": "tiny_m:conv"},
    )
    settings = recipe.settings.model_copy(update={"backbones": streams})
    return recipe.model_copy(
        update={"settings": settings, "method": method, "train": train, "profiles": {"quick": (profile,)}}
    )


def one_stage(**fields):
    """Return the setting `stages` with one stage."""
    base = {"step": 1, "train": ["classifier"], "epochs": 1, "batch_size": 8, "lr": 0.1, "momentum": 0.9,
            "weight_decay": 0.0}  # fmt: skip
    return {"stages": {"only": {**base, **fields}}}
