"""The result every export test starts from."""

from __future__ import annotations

import pytest
from handed_body import make_result

from hypopose.io import Result


@pytest.fixture
def result() -> Result:
    """See :mod:`handed_body`."""
    return make_result()
