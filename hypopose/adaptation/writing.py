"""Write adapted weights: whole, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hypopose.adaptation.adapt_options import AdaptOptions
from hypopose.adaptation.card import adaptation_card
from hypopose.adaptation.sources import SourceDomain
from hypopose.io.atomic import write_atomically
from hypopose.networks.pretrained import PretrainedNetwork, save_weights
from hypopose.samplers.recommended import SAMPLER_FILE

if TYPE_CHECKING:
    from hypopose.adaptation.adapt_run import Adapted


def write_adapted(
    output: Path, source: SourceDomain, o: AdaptOptions, result: Adapted, network: PretrainedNetwork
) -> None:
    """Write a folder of weights: whole, or not at all.

    Args:
        output: Replaced if it exists.
        source: Where it started.
        o: Options.
        result: What it came to.
        network: Merged.
    """
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    network.save_config(partial)
    save_weights(
        {k: v.to(torch.float16).contiguous() if v.is_floating_point() else v.contiguous()
         for k, v in network.state_dict().items()},
        partial,
    )  # fmt: skip
    recommended = source.folder / SAMPLER_FILE
    if recommended.is_file():
        shutil.copy(recommended, partial / SAMPLER_FILE)
    config = source.config.with_options(start=source.folder.name, n_frames=max(1, result.frames))
    texts = {
        "training.json": config.to_json(),
        "adaptation.json": json.dumps(o.to_json(), indent=2) + "\n",
        "README.md": adaptation_card(output.name, source.folder.name, source.names, o, result),
    }
    for name, text in texts.items():
        with write_atomically(partial / name) as path:
            path.write_text(text, encoding="utf-8")
    if output.exists():
        shutil.rmtree(output)
    partial.rename(output)
