"""Recipes in JSON, see :mod:`hypopose.training.recipe_files`."""
