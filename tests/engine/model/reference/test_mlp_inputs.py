"""What models read in the standard library's code."""

import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import UnsupportedModelError
from engine.model.reference.eager import TorchRunner
from engine.model.reference.mlp_inputs import MlpInputs, standard_library_ids
from tests.engine.model.tiny_tokenizer import LETTERS
from tests.tiny_models import tiny_model


def test_the_text_is_code_of_many_modules() -> None:
    blocks = standard_library_ids(LETTERS)

    texts = ["".join(str(LETTERS.id_to_token(token_id)) for token_id in ids) for ids in blocks]
    assert [len(ids) for ids in blocks] == [512] * 32
    assert len(set(texts)) == 32
    assert sum("def " in text or "self." in text for text in texts) > 16
    assert standard_library_ids(LETTERS) == blocks


def test_a_python_without_its_source_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})

    with pytest.raises(UnsupportedModelError, match=r"whose source this Python came without; choose .* 'int8'"):
        standard_library_ids(LETTERS)


def test_statistics_are_those_of_what_the_mlps_read() -> None:
    model, blocks = tiny_model("llama"), [[5, 6, 7, 8], [9, 8, 7]]
    read: list[list[torch.Tensor]] = [[] for _ in model.model.layers]
    for layer, rows in zip(model.model.layers, read, strict=True):
        layer.post_attention_layernorm.register_forward_hook(lambda _norm, _in, out, rows=rows: rows.append(out[0]))

    inputs = MlpInputs(TorchRunner(model), blocks)

    for idx, rows in enumerate(read):
        statistics = inputs.of_layer(idx)
        seen = torch.cat(rows).numpy()
        assert seen.shape == (7, 32)
        np.testing.assert_allclose(statistics.mean, seen.mean(0), atol=1e-5)
        np.testing.assert_allclose(statistics.covariance, np.cov(seen.T, bias=True), atol=1e-4)
