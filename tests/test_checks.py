"""The checks that options share: what they take, and that they name option and value."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hypopose.checks import check_between, check_choice, check_n_hypotheses, check_positive
from hypopose.errors import OptionError


def test_what_is_right_passes() -> None:
    check_choice("solver", "euler", ("euler", "heun"))
    check_positive(scale=1, clamp=None)
    check_between(0, 1, eta=0, share=1.0)
    check_n_hypotheses(1)


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (lambda: check_choice("solver", "midpoint", ("euler", "heun")), "solver='midpoint' is not"),
        (lambda: check_choice("solver", ["euler"], ("euler",)), "one of euler"),
        (lambda: check_choice("solver", "x" * 999, ("euler",)), "solver=a str is not"),
        (lambda: check_positive(scale=0.0), "scale must be positive and finite, got 0.0"),
        (lambda: check_positive(scale=float("inf")), "scale"),
        (lambda: check_positive(scale=float("nan")), "scale"),
        (lambda: check_between(0, 1, eta=1.5), "eta lies between 0 and 1, got 1.5"),
        (lambda: check_between(0, 1, eta=float("nan")), "eta"),
        (lambda: check_n_hypotheses(0), "n_hypotheses must be at least 1"),
    ],
)
def test_what_is_wrong_is_named(check: Callable[[], None], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        check()
