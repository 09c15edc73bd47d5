"""The models that a fresh installation uses are among those Bellhop knows."""

from __future__ import annotations

import pytest

from sandbox.agent.model import Usage
from sandbox.agent.model_catalogue import load_models
from session.settings import Settings


@pytest.mark.parametrize("setting", ["agent_model", "classifier_model"])
def test_default_models_have_a_window_and_a_price(setting: str) -> None:
    model: str = getattr(Settings.load({}), setting)
    price = load_models().spec(model).price(Usage(input_tokens=1_000_000, cached_tokens=0, output_tokens=0))
    assert price is not None
    assert price > 0
