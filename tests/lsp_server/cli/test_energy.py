"""`energy report` over a real ledger."""

import csv
import io
import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from engine.energy.calibration import CALIBRATION_FILE, calibration_key, save_calibration
from engine.energy.verification import Cost, Verification
from engine.errors import ConfigError
from lsp_server.books.ledger import Ledger, Origin
from lsp_server.cli.app import app
from lsp_server.cli.verification import sentences
from tests.engine.energy.test_cost_model import ROUND
from tests.fakes import fake_completion


@pytest.fixture
def ledger_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger of a user who is in the folder of one of its projects."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "green-code" / "ledger.sqlite3"
    ledger = Ledger(path)
    ledger.add("one", "a", fake_completion("four"), Origin(language_id="python", folder=bytes(Path.cwd())))
    ledger.add("one", "b", fake_completion("three"), Origin(language_id="<$x$>", folder=b"/elsewhere"))
    ledger.accept("a")
    ledger.close()
    return path


def report(*arguments: str, env: dict[str, str] | None = None) -> Result:
    env = {"COLUMNS": "200", "GREEN_CODE_COUNTRY": "", **(env or {})}
    return CliRunner().invoke(app, ["energy", "report", *arguments], env=env)


@pytest.mark.usefixtures("ledger_path")
class TestReport:
    def test_a_table_by_language_with_its_sum(self) -> None:
        lines = report("--by", "language").stdout.splitlines()

        assert next(line.split() for line in lines if "python" in line) == (
            ["python", "2", "J", "3", "J", "0", "J", "1", "1", "4", "2.00"]
        )
        assert next(line.split() for line in lines if "in all" in line)[2:4] == ["4", "J"]
        notes = [below.split() for line, below in pairwise(lines) if line.startswith(("python", "in all"))]
        assert notes == [["measured", "1", "to", "6", "J"], ["measured", "2", "to", "12", "J"]]
        assert "Joules were measured: fake counter." in lines
        assert "Saved is against full depth with KV cache (modelled): 60 % of 10 J; 2 to 12 J is possible." in lines

    def test_the_project_of_this_folder_is_marked(self) -> None:
        assert report("--by", "project").stdout.count("(this folder)") == 1

    def test_no_day_and_no_figure_is_cut_in_a_narrow_terminal(self) -> None:
        narrow, wide = (report("--by", "day", env={"COLUMNS": columns}).stdout for columns in ("50", "200"))
        table = narrow.partition("Joules were")[0]

        assert narrow == wide
        assert "…" not in table
        assert max(map(len, table.splitlines())) <= 80

    def test_carbon_is_of_the_country_that_the_user_names(self) -> None:
        kwh = 4 / 3.6e6

        assert json.loads(report("--json").stdout)["total"]["carbon_g"] is None
        assert json.loads(report("--json", "--country", "FRA").stdout)["total"]["carbon_g"] == pytest.approx(
            56.039 * kwh
        )
        by_variable = report("--json", env={"GREEN_CODE_COUNTRY": "DEU"})
        assert "Germany in 2023" in json.loads(by_variable.stdout)["carbon"]["source"]
        own = report("--json", "--country", "FRA", "--g-per-kwh", "10")
        assert json.loads(own.stdout)["total"]["carbon_g"] == pytest.approx(10 * kwh)

    def test_csv_holds_every_group(self) -> None:
        rows = list(csv.DictReader(io.StringIO(report("--csv").stdout)))

        assert {row["by"] for row in rows} == {"all", "hour", "day", "session", "project", "language"}
        total = [rows[0][name] for name in ("by", "energy_j", "wasted_j", "policy_j", "saved_low_j", "saved_high_j")]
        assert total == ["all", "4.0", "2.0", "", "2.0", "12.0"]
        assert json.loads(report("--json").stdout)["total"]["saved_high_j"] == 12.0

    def test_the_page_is_one_file_that_fetches_nothing(self, tmp_path: Path) -> None:
        assert report("--html", str(tmp_path / "page.html"), "--country", "FRA").exit_code == 0
        page = (tmp_path / "page.html").read_text(encoding="utf-8")

        charts = [part.partition("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
        assert len(charts) == 6
        for chart in charts:
            ET.fromstring("<svg" + chart)  # noqa: S314 - of our own making
        assert not [word for word in ("<script", "<link", "<img", "@import") if word in page]
        assert "&lt;$x$&gt;" in page
        assert "<$x$>" not in page
        assert "measured" in page
        assert "<td>6 J (2 to 12 J)</td>" in page
        assert "<b>6 J</b><span>saved, 2 to 12 J</span>" in page

    def test_a_page_that_cannot_be_written_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert_refused(["--html", str(tmp_path / "file" / "page.html")], "is no folder that you may write into.")

    def test_two_forms_at_once_are_refused(self) -> None:
        assert_refused(["--csv", "--json"], "Choose one of --csv, --json and --html")

    def test_a_time_without_completions_is_said(self, tmp_path: Path) -> None:
        assert "There is no completion in the ledger" in report("--since", "2999-01-01").stdout
        (head,) = report("--since", "2999-01-01", "--csv").stdout.splitlines()
        assert head == report("--csv").stdout.splitlines()[0]
        assert report("--since", "2999-01-01", "--html", str(tmp_path / "page.html")).exit_code == 0


def rested(data: Path) -> None:
    """Between the two requests of the ledger lie 100 s more."""
    with closing(sqlite3.connect(data / "green-code" / "ledger.sqlite3")) as database, database:
        database.execute("UPDATE completion SET created_at = created_at - 100.5 WHERE id = 'a'")


def calibrated(data: Path, *, unloaded_power_w: float | None = None) -> None:
    model = replace(ROUND, idle_power_w=8.0, unloaded_power_w=unloaded_power_w)
    key = calibration_key(model="fake", processor="CPU", threads=1, precision="int8", runtime="native")
    save_calibration(data / "green-code" / CALIBRATION_FILE, key, model)


@pytest.mark.usefixtures("ledger_path")
class TestRest:
    def test_nobody_guesses_what_it_took_where_it_was_not_measured(self, tmp_path: Path) -> None:
        rested(tmp_path)

        told = report("--by", "hour").stdout
        assert "rested between requests for 1.7 min, at most 30 min at a time (--rest-after); what that took" in told
        assert {rest["energy_j"] for rest in json.loads(report("--json").stdout)["at_rest"].values()} == {None}

    def test_it_has_lines_of_its_own_by_hour(self, tmp_path: Path) -> None:
        rested(tmp_path)
        calibrated(tmp_path, unloaded_power_w=7.5)

        told = report("--by", "hour").stdout
        page = tmp_path / "page.html"
        report("--html", str(page))
        resting = json.loads(report("--json").stdout)["at_rest"].values()

        assert re.search(r": 8\d\d J at 8\.0 W of all metered parts, as calibrated, 50\.?\d* J of it more than", told)
        assert "of it for the model" in told
        assert sum(rest["energy_j"] for rest in resting) == pytest.approx(800, rel=0.01)
        assert sum(rest["of_model_j"] for rest in resting) == pytest.approx(50, rel=0.01)
        assert "At rest, by hour" in page.read_text(encoding="utf-8")
        rows = list(csv.DictReader(io.StringIO(report("--csv").stdout)))
        assert sum(float(row["energy_j"]) for row in rows if row["by"] == "rest") == pytest.approx(800, rel=0.01)

    def test_it_has_lines_of_its_own_by_session(self, tmp_path: Path) -> None:
        rested(tmp_path)
        calibrated(tmp_path, unloaded_power_w=7.5)

        resting = json.loads(report("--json").stdout)["at_rest_by_session"]

        assert [rest["energy_j"] for rest in resting.values()] == [pytest.approx(800, rel=0.01)]
        assert re.search(r"at rest .*\n.* 1\.7 min +8\d\d J", report("--by", "session").stdout)

    def test_it_is_no_longer_at_a_time_than_the_editor_keeps_the_model(self, tmp_path: Path) -> None:
        rested(tmp_path)

        resting = json.loads(report("--json", "--rest-after", "1").stdout)["at_rest"]

        assert sum(rest["seconds"] for rest in resting.values()) == pytest.approx(60.0)
        assert "at most 1 min at a time" in report("--rest-after", "1").stdout

    def test_without_the_models_part_it_says_so(self, tmp_path: Path) -> None:
        rested(tmp_path)
        calibrated(tmp_path)

        assert "how much of it without the model was not measured" in report().stdout


@pytest.fixture
def read_path(ledger_path: Path) -> Path:
    """The same ledger, where this folder and another have been read."""
    ledger = Ledger(ledger_path)
    ledger.add_reading("one", bytes(Path.cwd()), cpu_s=2.0, energy_j=35.0)
    ledger.add_reading("two", b"/elsewhere", cpu_s=1.0, energy_j=17.5)
    ledger.close()
    return ledger_path


@pytest.mark.usefixtures("read_path")
class TestReading:
    def test_it_has_a_sentence_and_lines_of_its_own_beside_what_requests_took(self) -> None:
        told = report("--by", "project").stdout

        assert "Beside that, reading projects took 3.0 s of CPU time: 52.5 J (modelled), 17.5 W of a busy core." in told
        assert re.search(r"reading projects .*\n.*\(this folder\) +2\.0 s +35 J +modelled", told)
        assert next(line.split() for line in told.splitlines() if "in all" in line)[2:4] == ["4", "J"]
        assert "reading projects " in report("--by", "session").stdout
        assert "reading projects  " not in report("--by", "language").stdout

    def test_csv_and_json_tell_it_by_hour_day_session_and_project(self) -> None:
        rows = [row for row in csv.DictReader(io.StringIO(report("--csv").stdout)) if "reading" in row["by"]]
        record = json.loads(report("--json").stdout)

        for by in ("hour", "day", "session", "project"):
            mine = [row for row in rows if row["by"] == f"reading by {by}"]
            assert sum(float(row["energy_j"]) for row in mine) == 52.5
            assert {row["provenance"] for row in mine} == {"modelled"}
            assert [row["key"] for row in mine] == list(record["reading_by"][by])
        assert record["reading"] == {"cpu_s": 3.0, "energy_j": 52.5, "provenance": "modelled"}
        assert record["reading_by"]["session"]["two"]["energy_j"] == 17.5
        assert record["total"]["energy_j"] == 4.0

    def test_the_page_has_its_tables(self, tmp_path: Path) -> None:
        report("--html", str(tmp_path / "page.html"))
        page = (tmp_path / "page.html").read_text(encoding="utf-8").partition("<h2>Reading projects</h2>")[2]

        assert page.count("<table>") == 4
        assert "(this folder)</td><td>2.0 s</td><td>35 J</td><td>modelled</td>" in page

    def test_where_nothing_was_completed_it_is_told_alone(self, read_path: Path) -> None:
        with closing(sqlite3.connect(read_path)) as database, database:
            database.execute("DELETE FROM completion")

        told = report("--by", "session").stdout
        rows = list(csv.DictReader(io.StringIO(report("--csv").stdout)))

        assert "There is no completion in the ledger" in told
        assert "52.5 J (modelled)" in told
        assert {row["by"] for row in rows} == {f"reading by {by}" for by in ("hour", "day", "session", "project")}


def assert_refused(arguments: Sequence[str], sentence: str) -> None:
    result = report(*arguments)
    assert isinstance(result.exception, ConfigError)
    assert sentence in str(result.exception)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "shapes.py"
    path.write_text("def area(radius):\n    square = radius * radius\n    return 3 * square\n" * 8)
    return path


def test_verify_decodes_both_ways_and_says_how_far_the_model_was_off(tiny_folder: Path, source: Path) -> None:
    arguments = ["energy", "verify", str(source), "--places", "3", "--rounds", "1", "--model", str(tiny_folder)]

    result = CliRunner().invoke(
        app,
        [*arguments, "--device", "cpu", "--precision", "fp32", "--green-mode", "100"],
        env={"COLUMNS": "200"},
        catch_exceptions=False,
    )

    assert result.exit_code == 0
    assert "3 places on CPU" in result.stdout
    assert "full depth with KV cache" in result.stdout
    assert re.search(r"The model says that -?[\d.]+ % is saved, .* the -?[\d.]+ % by ", result.stdout)


def test_verify_needs_a_place(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("\n")

    result = CliRunner().invoke(app, ["energy", "verify", str(tmp_path / "empty.py")])

    assert "There is no place to complete" in str(result.exception)


def test_how_far_off_is_told_with_its_sign() -> None:
    def sentence(product_j: float) -> str:
        cost = Cost(modelled_j=4.0, cpu_s=1.0, elapsed_s=1.0)
        said, *_ = sentences(
            Verification(
                product=(cost,),
                full=(replace(cost, modelled_j=10.0),),
                product_j=product_j,
                full_j=10.0,
                on_gpu=False,
                source="RAPL counter, package-0",
                refusal="",
            )
        )
        return said

    assert sentence(5.0) == (
        "The model says that 60.0 % is saved, 10.0 points more than the 50.0 % by RAPL counter, package-0."
    )
    assert "5.0 points less than the 65.0 %" in sentence(3.5)
    assert "as much as the 60.0 %" in sentence(4.0)


def test_more_than_chance_is_told_with_what_mends_it() -> None:
    def told(full_j: float) -> list[str]:
        product = tuple(Cost(modelled_j=4.0 + n, cpu_s=1.0, elapsed_s=1.0) for n in range(4))
        full = tuple(replace(cost, modelled_j=10.0) for cost in product)
        counted = {"product_j": 22.0, "full_j": full_j, "on_gpu": False, "source": "a counter", "refusal": ""}
        return sentences(Verification(product=product, full=full, **counted))  # type: ignore[arg-type]  # its fields

    assert len(told(40.0)) == 1
    assert "`green-code calibrate` fits it anew" in told(23.0)[1]


def test_verification_says_how_far_the_cpu_is_from_the_shipped_prices() -> None:
    cost = Cost(modelled_j=17.5, cpu_s=2.2, elapsed_s=2.2)
    found = Verification(
        product=(cost, cost),
        full=(replace(cost, modelled_j=35.0, cpu_s=4.4),) * 2,
        product_j=None,
        full_j=None,
        on_gpu=False,
        source="",
        refusal="",
        is_paced=True,
    )

    assert any("this CPU takes 2.2 times the seconds" in sentence for sentence in sentences(found))
    assert not any("this CPU takes" in sentence for sentence in sentences(replace(found, is_paced=False)))
    assert replace(found, product=(replace(cost, modelled_j=0.0),)).pace is None
