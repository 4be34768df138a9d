"""The recipes that the user names: by name, by a pattern, by paper, or by a printed cell."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from fgbench.cli.other_names import suggested_data
from fgbench.cli.own_images import check_needs, missing_annotations, recipes_for_own_images
from fgbench.datasets.image_folder import PREFIX, folder_hint
from fgbench.papers.printed import Cell, load_papers
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.util.errors import FgbenchError, nearest


def choose_recipes(data: str, names: Sequence[str]) -> list[Recipe]:
    """Return the named recipes of a data set, each once; without names, all recipes except variants.

    Args:
        data: name of a data set, or `imagefolder:PATH`.
        names: names of recipes such as `bcnn/bcnn_dd`, patterns such as `bcnn/*`, papers, or printed cells such as
            `bcnn/t1/bcnn_dd/birds`. Patterns and papers do not include variants, and for images of the user no recipes
            that need more than images and classes.

    Raises:
        FgbenchError: an unknown name, a cell of another data set, a data set without recipes, or a recipe that needs
            annotations which images of the user do not have.
    """
    is_own = data.startswith(PREFIX)
    of_data = (recipe for recipe in load_recipes().values() if recipe.settings.data == data)
    recipes = recipes_for_own_images() if is_own else {recipe.name: recipe for recipe in of_data}
    if not recipes:
        known = sorted({recipe.settings.data for recipe in load_recipes().values()})
        suggested = suggested_data(data, [*known, "reid"])
        raise FgbenchError(
            f"no recipe for the data set {data!r}: no reproductions/*/{data}.toml, only for {', '.join(known)}",
            folder_hint(data) or (f"fgbench reproduce {suggested}" if suggested else "fgbench list recipes"),
        )
    unusual = [name for name, r in recipes.items() if r.variant or (is_own and missing_annotations(r))]
    usual = [name for name in recipes if name not in unusual]
    cells = {f"{paper.id}/{cell.id}": cell for paper in load_papers().values() for cell in paper.cells()}
    chosen = [found for name in names for found in _named(name, data, recipes, usual, cells)] if names else usual
    if is_own:
        check_needs(recipes, chosen)
    return [recipes[name] for name in dict.fromkeys(chosen)]


def _named(
    name: str, data: str, recipes: Mapping[str, Recipe], usual: Sequence[str], cells: Mapping[str, Cell]
) -> list[str]:
    """Return the names of the recipes that one word of the user stands for."""
    if name in recipes:
        return [name]
    pattern = name if set("*?[") & set(name) else f"{name}/*"
    if found := [recipe for recipe in usual if fnmatchcase(recipe, pattern)]:
        return found
    if name in cells:
        cell = cells[name]
        if not cell.recipe:
            raise FgbenchError(f"the cell {name} has no recipe: {cell.role}", f"fgbench show {name}")
        if cell.data != data:
            raise FgbenchError(f"the cell {name} is about {cell.data}, not {data}", f"add --data {cell.data}")
        return [cell.recipe]
    raise FgbenchError(f"no recipe {name!r} for {data}; {nearest(name, recipes)}", "fgbench list recipes")
