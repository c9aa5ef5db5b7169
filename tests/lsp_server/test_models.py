"""The models that a person may choose from, over stdio."""

import pytest

from engine.model.catalogue import CATALOGUE
from lsp_server.protocol import MODELS
from tests.lsp_server.client import Client

pytestmark = pytest.mark.timeout(60)


async def test_the_client_is_told_what_each_known_model_would_take_here(client: Client) -> None:
    client.open("x")
    asked = client.complete(0, 1)
    answer = await client.request(MODELS)

    assert await asked is not None
    assert {model.name for model in answer.models} == {model.name for model in CATALOGUE}
    assert sum(model.isAdvised for model in answer.models) <= 1
    assert all(model.tokenMs > 0 and model.runningBytes > 0 and model.licence for model in answer.models)
    (default,) = [model for model in answer.models if model.name == "smollm2-135m"]
    assert (default.readsBothSides, default.downloadBytes) == (False, 92_871_040)
