import torch

from engine.training.states import BLOCK_TOKENS, block_states, blocks
from tests.engine.training.fakes import LetterTokenization, code, source_file, tiny_loaded


def test_every_file_gives_a_block_before_one_gives_two() -> None:
    files = [source_file("a" * 3 * BLOCK_TOKENS, package=name) for name in ("one", "two")]

    cut = list(blocks(files, LetterTokenization(), max_tokens=3 * BLOCK_TOKENS))  # type: ignore[arg-type]  # see fakes

    assert [block.package for block in cut] == ["one", "two", "one"]


def test_a_short_rest_of_a_file_is_no_block() -> None:
    files = [source_file("a" * (BLOCK_TOKENS + 5))]

    assert len(list(blocks(files, LetterTokenization(), max_tokens=10_000))) == 1  # type: ignore[arg-type]  # see fakes


def test_states_are_those_that_the_decoder_sees() -> None:
    model = tiny_loaded().model
    ids = LetterTokenization().encode(code("a"))[:100]
    cache = model.new_cache()
    with torch.inference_mode():
        rows = [model.run_layers(model.embed([token], at), 0, 3, cache) for at, token in enumerate(ids)]
        one_by_one = torch.cat([model.exit_state(row, 3)[0] for row in rows])

    states = block_states(model, ids)

    torch.testing.assert_close(states.exits[0], one_by_one[1:-1], rtol=1e-3, atol=1e-3)
    assert states.next_ids == ids[2:]
