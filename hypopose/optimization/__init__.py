"""Test-time refinement: latents that move, weights that stay."""
