"""Recipes: the stages that make weights, as JSON files.

A recipe states what each stage changes against an earlier one:

.. code-block:: json

    {
      "format": "hypopose recipe 1",
      "description": "A denoiser, then a generator from its weights.",
      "shards": ["cmu_permissive.npz"],
      "stages": [
        {"name": "denoiser", "options": {"n_frames": 5000000}},
        {"name": "generator", "like": "denoiser", "start": "denoiser",
         "options": {"objective": "energy", "n_latent": 12}},
        {"name": "mean", "average": {"generator": 0.6, "denoiser": 0.4}}
      ]
    }

Options are those of :class:`hypopose.training.TrainConfig`, by name or by section.
Recipes in this package have names; ``hypopose train --config NAME|FILE`` takes both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from hypopose.errors import FormatError, OptionError
from hypopose.simulation.option_checks import from_dict
from hypopose.training.config import TrainConfig, nested
from hypopose.training.stages import Stage

FORMAT = "hypopose recipe 1"

MAX_BYTES = 10_000_000
"""Recipes are small; a larger file is refused before it is read."""

DECIDED = ("objective", "start", "network", "n_latent", "shards")
"""Options that the stages of a recipe decide."""


@dataclass(frozen=True)
class StageDraft:
    """One stage of a recipe file.

    Args:
        name: Of its folder.
        options: Options of :class:`hypopose.training.TrainConfig`.
        like: Earlier stage whose options hold where ``options`` states none.
        start: Earlier stage whose weights it starts from.
        average: Earlier stages -> weights of their average; then there is nothing else.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    like: str | None = None
    start: str | None = None
    average: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """Stages that make weights.

    Args:
        stages: In order.
        shards: File names of the motion shards it was made for.
        description: One sentence.
        format: Version of the file format.
    """

    stages: tuple[StageDraft, ...]
    shards: tuple[str, ...]
    description: str = ""
    format: str = FORMAT

    def with_shards(self, shards: Sequence[str], **changes: Any) -> tuple[Stage, ...]:
        """The stages, ready for :func:`hypopose.training.train_stages`.

        Args:
            shards: Motion, in the order of ``self.shards``.
            **changes: Options of :class:`TrainConfig` for every stage. ``n_frames`` or ``minutes``
                are budgets of the whole recipe, of which each stage gets its share.

        Raises:
            OptionError: If an option is decided by the stages, or does not exist.
        """
        fixed = sorted(set(DECIDED) & _own_names(changes))
        if fixed:
            raise OptionError(f"The stages of a recipe decide {', '.join(fixed)}; leave it out.")
        stages = tuple(_complete(self.stages, tuple(shards)))
        return with_changes(stages, changes)


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes in the package.

    Example:
        >>> "default" in recipe_names()
        True
    """
    folder = files("hypopose.training") / "recipes"
    names = (f.name for f in folder.iterdir())
    return tuple(sorted(n.removesuffix(".json") for n in names if n.endswith(".json")))


def load_recipe(name: str | Path) -> Recipe:
    """Read a recipe by name, or from a file.

    Args:
        name: One of :func:`recipe_names`, or the path of a JSON file.

    Raises:
        OptionError: If there is no such recipe.
        FormatError: If the file is not a recipe.

    Example:
        >>> len(load_recipe("default").shards)
        2
    """
    if str(name) in recipe_names():
        path = files("hypopose.training") / "recipes" / f"{name}.json"
        return read_recipe(path.read_text(encoding="utf-8"), str(name))
    return read_recipe(read_text(Path(name)), str(name))


def read_text(path: Path) -> str:
    """Text of a recipe or configuration file.

    Raises:
        OptionError: If it cannot be read.
        FormatError: If it is too large to be one.
    """
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise FormatError(f"{path} is larger than {MAX_BYTES // 10**6} MB: not a recipe.")
        if path.exists() and not path.is_file():
            raise OptionError(f"{path} is not a file; name a JSON file.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(
            f"--config {path}: name a JSON file, or {', '.join(recipe_names())} ({error})."
        ) from error


def read_recipe(text: str, source: str) -> Recipe:
    """Read a recipe from its JSON text.

    Args:
        text: A JSON object.
        source: Named in errors.

    Raises:
        FormatError: If it is not a recipe: every stage is completed once to find out.
    """
    try:
        recipe = from_dict(Recipe, json.loads(text), name="recipe")
        if recipe.format != FORMAT:
            raise ValueError(f"its format is {recipe.format!r}, not {FORMAT!r}")
        if not recipe.stages:
            raise ValueError("it has no stages")
        recipe.with_shards(recipe.shards or ("shard.npz",))
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"{source} is not a recipe: {error}.") from error
    return recipe


def is_recipe(text: str) -> bool:
    """Whether JSON text holds stages, rather than the options of one run."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "stages" in data


def shards_in(folder: str | Path, names: Sequence[str]) -> tuple[str, ...]:
    """Shards by file name, in a folder.

    Raises:
        FormatError: If one of them is not there.
    """
    paths = [Path(folder) / Path(name).name for name in names]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        raise FormatError(
            f"{folder} lacks {', '.join(absent)}, which these weights were trained on. Name the "
            "folder of the motion shards, or other shards with --shard."
        )
    return tuple(str(path) for path in paths)


def with_changes(stages: Sequence[Stage], changes: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The same stages with other options; budgets are divided by the stages' frames."""
    rest = {k: v for k, v in changes.items() if k not in ("n_frames", "minutes")}
    budgets = {k: changes[k] for k in ("n_frames", "minutes") if changes.get(k) is not None}
    total = sum(stage.config.budget.n_frames for stage in stages if stage.config is not None)

    def changed(config: TrainConfig) -> TrainConfig:
        share = config.budget.n_frames / total
        own: dict[str, Any] = {}
        if "n_frames" in budgets:
            own["n_frames"] = max(1, round(share * budgets["n_frames"]))
        if "minutes" in budgets:
            own["minutes"] = share * budgets["minutes"]
        of_network = _network_options(config, rest)
        return config.with_options(**{**rest, **own, "network_options": of_network})

    return tuple(
        stage if stage.config is None else replace(stage, config=changed(stage.config))
        for stage in stages
    )


def _network_options(config: TrainConfig, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's network options with changes; networks of other sizes share fewer blocks.

    At least one block is left for the noise.
    """
    own = dict(config.network.options)
    n_layers = changes.get("n_layers", config.network.n_layers)
    if "n_shared" in own and isinstance(n_layers, int):
        own["n_shared"] = max(0, min(own["n_shared"], n_layers - 1))
    return own | changes.get("network_options", {})


def _complete(drafts: Sequence[StageDraft], shards: tuple[str, ...]) -> Iterator[Stage]:
    """Stages with every option spelled out."""
    known: dict[str, TrainConfig | None] = {}
    for draft in drafts:
        _check(draft, known)
        config = None
        if not draft.average:
            like = known[draft.like] if draft.like else None
            base = like or TrainConfig.from_options(shards=shards)
            config = base.with_options(**draft.options)
        known[draft.name] = config
        yield Stage(draft.name, config, draft.start, draft.average)


def _check(draft: StageDraft, known: Mapping[str, Any]) -> None:
    """Raise unless a stage has a name of its own and refers to earlier ones."""
    others = [draft.like, draft.start, *draft.average]
    absent = [name for name in others if name not in (None, *known)]
    plain = Path(draft.name).name
    own_name = draft.name not in known and plain == draft.name
    faults: tuple[tuple[Any, str], ...] = (
        (absent, f"names {next(iter(absent), None)!r}, which is not before it"),
        (known.get(draft.like or "", ...) is None, f"is like {draft.like!r}, which is an average"),
        (
            not own_name or plain in ("", ".", "..", "weights"),
            "needs a name of its own that a folder can have",
        ),
        (
            {"shards", "start"} & _own_names(draft.options),
            "has no shards or start among its options",
        ),
        (
            draft.average and (draft.options or draft.like or draft.start),
            "is an average and has no options",
        ),
    )
    for is_wrong, words in faults:
        if is_wrong:
            raise OptionError(f"stage {draft.name!r} {words}")


def _own_names(options: Mapping[str, Any]) -> set[str]:
    """Names of options as users write them: of sections, those inside."""
    names = set()
    for section, values in nested(options).items():
        names |= {section if name == "name" else name for name in values}
    return names
