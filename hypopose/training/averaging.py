"""Averages of the weights of networks that were fine-tuned from one another.

Wortsman et al., "Model soups" (ICML 2022): networks fine-tuned from a common start lie in one
basin, and their average is often better than each. The shipped generator started from such an
average of a denoiser and the generator it was turned into, and ends as one of its last two runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from hypopose.errors import CheckpointError, OptionError
from hypopose.io.atomic import write_atomically
from hypopose.networks.pretrained import CONFIG_FILE, WEIGHTS_FILE, read_weights, save_weights

CARD_FILE = "README.md"


def average_weights(shares: Mapping[str | Path, float], target: str | Path) -> Path:
    """Average networks of one kind, and write a folder of weights.

    Tensors that one folder has larger than another (more inputs) are averaged where both have
    numbers; elsewhere the larger one's are kept. Config, options of sampling and of training are
    those of the first folder, which must have every tensor at its largest; the card names all
    folders and goes on with the first's. A card that is there already is kept.

    Args:
        shares: Folder -> how much it counts; shares are divided by their sum.
        target: Made if absent.

    Returns:
        ``target``.

    Raises:
        OptionError: If shares are not positive.
        CheckpointError: If the networks do not fit together, or a later one has further tensors.
    """
    if not shares or min(shares.values()) <= 0:
        raise OptionError("Name at least one folder of weights, every share above 0.")
    folders = list(shares)
    total = sum(shares.values())
    states = [read_weights(Path(folder) / WEIGHTS_FILE) for folder in folders]
    averaged = {
        name: _averaged(
            name, [state.get(name) for state in states], [s / total for s in shares.values()]
        )
        for name in states[0]
    }
    more = sorted(set().union(*states[1:]) - set(states[0]))
    if more:
        raise CheckpointError(
            f"{folders[0]} lacks {more[0]}, which another one of these has; name that one first."
        )
    target = Path(target)
    _copy_options(Path(folders[0]), target)
    save_weights(averaged, target)
    if not (target / CARD_FILE).exists():
        with write_atomically(target / CARD_FILE) as partial:
            partial.write_text(_card({Path(f): s / total for f, s in shares.items()}), "utf-8")
    return target


def _copy_options(source: Path, target: Path) -> None:
    """Copy the files that say how a network is built, sampled and trained."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG_FILE, "sampler.json", "training.json"):
        if (source / name).is_file():
            shutil.copy(source / name, target / name)


def _card(shares: Mapping[Path, float]) -> str:
    """What was averaged, and the card of the first folder if it has one."""
    lines = [f"- {share:.3g} of {'/'.join(path.parts[-2:])}" for path, share in shares.items()]
    told = "Options of sampling and training are the first's"
    card = next(iter(shares)) / CARD_FILE
    if not card.is_file():
        return "\n".join(["# An average of networks", "", *lines, "", f"{told}.", ""])
    first = "#" + card.read_text(encoding="utf-8").replace("\n#", "\n##")
    return "\n".join(
        ["# An average of networks", "", *lines, "", f"{told}, whose card follows.", "", first]
    )


def _averaged(name: str, tensors: list[torch.Tensor | None], shares: list[float]) -> torch.Tensor:
    first = tensors[0]
    assert first is not None  # names come from the first
    out = first.float().clone()
    weight = torch.full(out.shape, shares[0])
    out *= shares[0]
    for tensor, share in zip(tensors[1:], shares[1:], strict=True):
        if tensor is None or tensor.dim() != out.dim():
            raise CheckpointError(f"{name} is not in all of these networks; they are of two kinds.")
        if any(n > m for n, m in zip(tensor.shape, out.shape, strict=True)):
            raise CheckpointError(f"{name} is largest in a later folder; name that one first.")
        corner = tuple(slice(n) for n in tensor.shape)
        out[corner] += share * tensor.float()
        weight[corner] += share
    return out / weight
