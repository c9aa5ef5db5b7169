from typer.testing import CliRunner

from engine.errors import ConfigError
from lsp_server.cli.app import app


def test_a_language_without_held_out_text_is_refused_before_anything_is_loaded() -> None:
    result = CliRunner().invoke(app, ["evaluate", "--languages", "python,cobol"])

    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith("The language 'cobol' has no held-out text")
