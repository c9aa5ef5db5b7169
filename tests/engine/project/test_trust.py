from dataclasses import replace
from pathlib import Path

import pytest

from engine import config
from engine.errors import ConfigError
from engine.project.continuations import Guess
from engine.project.followers import Followers
from engine.project.trust import N_CELLS, TRUST, ProjectTrust, cell_of

SURE = Followers(14, 5, (7,), (1.0,))
WEAK = Followers(1, 40, (7, 8), (0.3, 0.2))


@pytest.fixture(scope="module")
def trust() -> ProjectTrust:
    return TRUST.load(TRUST.packaged)


def test_every_finding_has_a_cell_of_its_kind() -> None:
    cells = {
        cell_of(Followers(length, count, (1,), (share,)))
        for length in range(1, 17)
        for count in (1, 2, 3, 4, 50)
        for share in (0.1, 0.5, 0.89, 0.9, 1.0)
    }

    assert cell_of(None) == 0
    assert cells == set(range(1, N_CELLS))


@pytest.mark.parametrize("files", [None, SURE, WEAK])
@pytest.mark.parametrize("document", [None, SURE, WEAK])
@pytest.mark.parametrize("chance", [0.1, 0.95])
def test_the_weights_are_shares(
    trust: ProjectTrust, files: Followers | None, document: Followers | None, chance: float
) -> None:
    weights = trust.weights(files, document, chance)

    assert sum(weights) == pytest.approx(1.0)
    assert all(weight >= 0 for weight in weights)
    assert (weights[1] == 0) == (files is None)
    assert (weights[2] == 0) == (document is None)


def test_a_long_agreement_is_trusted_more_than_a_short_one(trust: ProjectTrust) -> None:
    sure, weak = trust.best(SURE, None), trust.best(WEAK, None)

    assert sure is not None
    assert weak is not None
    assert sure[0] == weak[0] == 7
    assert sure[1] > 0.9
    assert weak[1] < 0.5
    assert trust.weights(SURE, None, 0.5)[1] > trust.weights(WEAK, None, 0.5)[1]


def test_two_sources_that_agree_are_trusted_more_than_two_that_do_not(trust: ProjectTrust) -> None:
    same, other = trust.best(SURE, WEAK), trust.best(SURE, Followers(1, 40, (9,), (0.3,)))

    assert same is not None
    assert other is not None
    assert same[1] > other[1]


def test_without_a_finding_there_is_nothing_to_choose(trust: ProjectTrust) -> None:
    assert trust.best(None, None) is None


def test_a_sure_project_outweighs_an_unsure_model_and_a_weak_one_does_not(trust: ProjectTrust) -> None:
    def choice(files: Followers, chance: float) -> int:
        best = trust.best(files, None)
        assert best is not None
        token_id, _ = Guess(*best, files, None, trust).mixed(3, chance, {7: 0.01, 8: 0.01})
        return token_id

    assert choice(SURE, 0.4) == 7
    assert choice(WEAK, 0.95) == 3


def test_what_was_fitted_here_is_taken_before_what_is_shipped(
    trust: ProjectTrust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(config, "data_dir", lambda: tmp_path)
    assert TRUST.find() == trust
    TRUST.save(replace(trust, model="m"), TRUST.own_path)
    assert TRUST.find().model == "m"
    TRUST.own_path.write_text("{")

    assert TRUST.find() == trust
    assert "train project" in caplog.text


def test_a_trust_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json"):
        TRUST.load(tmp_path / "none.json")
