import pytest

from saas.content.jail.renderer import Renderer


@pytest.fixture(scope="session")
def renderer():
    with Renderer() as shared:
        yield shared
