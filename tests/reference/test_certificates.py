"""Every reference is certified over random cases: few here, more by ``gradcheck certify``."""

from __future__ import annotations

import pytest

from gradcheck.certify import certify
from gradcheck.reference.registry import reference_named, references

CASES = 3
SEED = 7


@pytest.mark.parametrize("name", references())
def test_a_reference_is_certified(name: str) -> None:
    summary = certify(reference_named(name), cases=CASES, seed=SEED)
    assert summary.failures == ()
    assert summary.certified
