from dataclasses import replace

import pytest

from engine.completion.site import offered
from engine.completion.words import inside_word
from engine.corpus.source_text import SourceFile
from engine.errors import TrainingError
from engine.evaluation.places import paper_places, sample_places, without_shape
from engine.types import FinishReason
from tests.engine.training.fakes import code, source_file


def files(n_packages: int = 4) -> list[SourceFile]:
    python = [source_file(code(f"test{n}"), package=f"q{n}", path=f"{n}.py") for n in range(n_packages)]
    return [
        *python,
        *(replace(file, language="java", package=f"java-{file.package}", path=f"{file.path}.java") for file in python),
    ]


def test_the_same_seeds_draw_the_same_places() -> None:
    assert sample_places(files(), 20, seeds=2) == sample_places(files()[::-1], 20, seeds=2)


def test_languages_share_the_places_of_every_seed_evenly() -> None:
    places = sample_places(files(), 24, seeds=3)
    count = {(p.seed, p.language): 0 for p in places}
    for place in places:
        count[place.seed, place.language] += 1

    assert set(count.values()) == {4}


def test_prompt_and_truth_are_the_file_cut_at_a_place_where_something_follows() -> None:
    texts = [file.text for file in files()]
    places = sample_places(files(), 40)

    assert {place.kind for place in places} == {"mid-line", "line-start"}
    for place in places:
        end = place.site.prompt.text + place.site.prompt.typed + place.truth
        assert any(text.endswith(end) for text in texts)
        assert place.truth.partition("\n")[0].strip()
        assert not inside_word(end, len(end) - len(place.truth))


def test_a_perfect_suggestion_is_offered_whole() -> None:
    for place in sample_places(files(), 40):
        decoded = place.site.prompt.typed + place.reference + "\n"

        assert offered(place.site, decoded, FinishReason.STOP) == place.reference.rstrip()


def test_a_reference_is_no_longer_than_a_suggestion_may_be() -> None:
    places = sample_places(files(), 40, max_new_tokens=12)

    assert all(len(place.reference) <= 48 or "\n" not in place.reference for place in places)


def test_without_a_shape_all_of_the_text_is_offered() -> None:
    place = without_shape(sample_places(files(), 2)[0])

    assert offered(place.site, place.site.prompt.typed + "a\nb\n\n\nc", FinishReason.LENGTH) == "a\nb\n\n\nc"


def test_the_papers_places_are_a_fifth_into_the_file() -> None:
    for place in paper_places(files(), 8):
        assert len(place.site.prompt.text) == pytest.approx(
            0.2 * (len(place.site.prompt.text) + len(place.truth)), abs=1
        )


def test_too_little_text_is_told_in_one_sentence() -> None:
    with pytest.raises(TrainingError, match="too few places"):
        sample_places([source_file("x = 1\n")], 2)
