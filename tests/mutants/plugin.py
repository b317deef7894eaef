"""A pytest plugin: MUTANT=name makes the tests' engine a known-bad one."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    name = os.environ.get("MUTANT")
    if name:
        from tests.mutants.variants import apply

        apply(name)
