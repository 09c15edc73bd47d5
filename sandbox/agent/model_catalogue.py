"""The models this installation knows: how much they hold, what they cost, what they can see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sandbox.agent.model import Usage

SHIPPED_CATALOGUE = Path(__file__).with_name("models.yaml")
UNKNOWN_WINDOW_TOKENS = 128_000
UNKNOWN_OUTPUT_RESERVE_TOKENS = 8_192
TOKENS_PER_PRICE = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens."""

    input: Decimal
    cached_input: Decimal
    output: Decimal


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model: `window_tokens` holds input and output together, `output_reserve_tokens` of it stay free.

    `prices` is None where nobody told us what the model costs.
    """

    id: str
    window_tokens: int
    output_reserve_tokens: int
    prices: Prices | None
    vision: bool
    reasoning: bool

    def price(self, usage: Usage) -> Decimal | None:
        """What `usage` cost in US dollars, or None where the prices are unknown."""
        if self.prices is None:
            return None
        fresh = max(usage.input_tokens - usage.cached_tokens, 0)
        total = (
            fresh * self.prices.input
            + usage.cached_tokens * self.prices.cached_input
            + usage.output_tokens * self.prices.output
        )
        return total / TOKENS_PER_PRICE


def unknown_model(model_id: str) -> ModelSpec:
    """A spec for a model nobody described: a modest window, no pictures, cost unknown."""
    return ModelSpec(
        id=model_id,
        window_tokens=UNKNOWN_WINDOW_TOKENS,
        output_reserve_tokens=UNKNOWN_OUTPUT_RESERVE_TOKENS,
        prices=None,
        vision=False,
        reasoning=False,
    )


@dataclass(frozen=True, slots=True)
class ModelCatalogue:
    """Model specs by id."""

    specs: Mapping[str, ModelSpec]

    def spec(self, model_id: str) -> ModelSpec:
        """The spec of `model_id`; safe defaults with unknown cost where the catalogue does not list it."""
        return self.specs.get(model_id) or unknown_model(model_id)


class _PricesEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input: Decimal = Field(ge=0)
    cached_input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)


class _ModelEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str = Field(min_length=1)
    window: int = Field(gt=0)
    output_reserve: int = Field(gt=0)
    prices_per_million: _PricesEntry | None = None
    vision: bool = False
    reasoning: bool = False

    @model_validator(mode="after")
    def _leaves_room_for_input(self) -> Self:
        if self.output_reserve >= self.window:
            raise ValueError(f"output_reserve of {self.id} must be smaller than its window")
        return self

    def spec(self) -> ModelSpec:
        entry = self.prices_per_million
        prices = Prices(entry.input, entry.cached_input, entry.output) if entry else None
        return ModelSpec(
            id=self.id,
            window_tokens=self.window,
            output_reserve_tokens=self.output_reserve,
            prices=prices,
            vision=self.vision,
            reasoning=self.reasoning,
        )


class _Catalogue(BaseModel):
    model_config = ConfigDict(extra="forbid")
    models: list[_ModelEntry]


class BadModelCatalogue(ValueError):
    """The catalogue file cannot be used; the message names the file and the field."""


def load_models(path: Path = SHIPPED_CATALOGUE) -> ModelCatalogue:
    """The catalogue written in the YAML file at `path` (default: the one that ships with Bellhop).

    Raises:
        BadModelCatalogue: the file is not YAML, has an unknown or malformed field, or lists an id twice.
    """
    try:
        entries = _Catalogue.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).models
    except (yaml.YAMLError, ValidationError) as error:
        raise BadModelCatalogue(f"{path} is not a model catalogue: {error}") from error
    specs = {entry.id: entry.spec() for entry in entries}
    if len(specs) != len(entries):
        raise BadModelCatalogue(f"{path} lists a model id twice")
    return ModelCatalogue(specs)
