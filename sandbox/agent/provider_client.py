"""A client of whoever provides models, for calls that are made straight to them."""

from __future__ import annotations

from openai import NOT_GIVEN, AsyncOpenAI, DefaultAsyncHttpxClient, NotGiven

from sandbox.certificates import model_authorities


def provider_client(
    base_url: str, api_key: str, *, timeout_seconds: float | NotGiven = NOT_GIVEN
) -> AsyncOpenAI:
    """It makes each call once, and takes the authorities from where they were read before, which takes longer
    than a call. To be closed by the caller. timeout_seconds: the SDK's own when not given."""
    return AsyncOpenAI(
        base_url=base_url,
        api_key=api_key,
        max_retries=0,
        timeout=timeout_seconds,
        http_client=DefaultAsyncHttpxClient(verify=model_authorities()),
    )
