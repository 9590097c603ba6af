"""Record what ``sbi`` says about shared samples: ranks of SBC, coverages of TARP.

    pip install 'sbi==0.27.0' && python record.py [--seed 0 --samples 60 --items 120 --dimensions 4]

The posterior is a replay: it hands out the shared samples, so that ``sbi``'s public functions run
unchanged. Half of the items are too narrow, so that neither ranks nor coverages are trivial.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import sbi.diagnostics
import torch
from safetensors.torch import save_file
from torch import Tensor


class Replay:
    """A posterior whose samples are known already."""

    def __init__(self, samples: Tensor) -> None:
        self._samples = samples

    def sample_batched(self, sample_shape: object, x: Tensor, **options: object) -> Tensor:
        return self._samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--items", type=int, default=120)
    parser.add_argument("--dimensions", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    s, n, d = options.samples, options.items, options.dimensions
    g = torch.Generator().manual_seed(options.seed)
    mean = 3 * torch.randn(n, d, generator=g)
    scale = torch.linspace(0.5, 2, d)
    samples = mean + scale * torch.randn(s, n, d, generator=g)
    truth = mean + scale * torch.randn(n, d, generator=g) * torch.linspace(1, 2, n)[:, None]
    references = 4 * torch.randn(n, d, generator=g)
    replay = Replay(samples)
    seen = torch.zeros(n, 1)
    given = {"num_posterior_samples": s, "show_progress_bar": False}
    ranks, _ = sbi.diagnostics.run_sbc(truth, seen, replay, **given)
    out = {"samples": samples, "truth": truth, "references": references, "ranks": ranks}
    for name, options_of_tarp in {
        "": {"z_score_theta": False},
        "_20_bins": {"z_score_theta": False, "num_bins": 20},
        "_scored": {"z_score_theta": True},
    }.items():
        ecp, alpha = sbi.diagnostics.run_tarp(
            truth, seen, replay, references=references, **given, **options_of_tarp
        )
        out |= {f"ecp{name}": ecp, f"alpha{name}": alpha}
    atc, p_value = sbi.diagnostics.check_tarp(out["ecp"], out["alpha"])
    options.folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in out.items()}, options.folder / "io.safetensors")
    meta = {
        "case": "sbi",
        "library": f"sbi {version('sbi')}",
        "torch": torch.__version__,
        "seed": options.seed,
        "check_tarp": {"area to curve": float(atc), "ks p-value": float(p_value)},
        "what": {
            "samples": "(S,N,D) posterior samples, shared",
            "truth": "(N,D)",
            "references": "(N,D) of TARP, in the unit of the samples",
            "ranks": "(N,D) of run_sbc",
            "ecp/alpha": "of run_tarp, its own number of bins; _20_bins: 20; _scored: z-scored",
        },
        "tensor_shapes": {k: [list(v.shape), str(v.dtype)] for k, v in out.items()},
    }
    (options.folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


if __name__ == "__main__":
    main()
