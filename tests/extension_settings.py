"""`python -m tests.extension_settings`: writes the settings into the extension's package.json, its texts, and README.

They are declared in `lsp_server.settings`, and here those that are the extension's own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from lsp_server.allowed import Allowed, one_of
from lsp_server.settings import Declaration, declarations
from lsp_server.settings_entries import SECTION

EXTENSION = Path(__file__).parent.parent / "vscode-extension"
PACKAGE = EXTENSION / "package.json"
README = EXTENSION / "README.md"
GERMAN_TEXTS = EXTENSION / "package.nls.de.json"  # written by hand
TEXTS = EXTENSION / "package.nls.json"

STRING = Allowed(words="a text", schema={"type": "string"}, test=lambda value: isinstance(value, str))
STRINGS = Allowed(
    words="a list of texts",
    schema={"type": "array", "items": {"type": "string"}},
    test=lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
)
EXTENSION_ONLY = [
    Declaration(
        key="country",
        allowed=STRING,
        default="",
        text="Whose electricity this machine takes, by ISO code of three letters or English name, such as "
        "`FRA`; the history then shows grams of CO2. Their source stands beside them. Empty shows none; your "
        "location is never looked up.",
    ),
    Declaration(
        key="interpreter",
        allowed=STRING,
        default="",
        text="Path of a Python that has `green-code` installed. Empty takes "
        "`#greenCode.serverCommand#`, else looks where `#greenCode.importStrategy#` says.",
    ),
    Declaration(
        key="importStrategy",
        allowed=one_of(
            fromEnvironment="The Python that you have chosen for the folder, if it has `green-code`; else as below.",
            useBundled="The command `green-code` on the PATH, else the server of *Green Code: Install Server*.",
        ),
        default="useBundled",
        text="Where the server is from. `fromEnvironment` asks the extensions Python Environments and Python.",
    ),
    Declaration(
        key="serverCommand",
        allowed=STRINGS,
        default=[],
        text="The command that starts the server, with its arguments, where `#greenCode.interpreter#` does not fit.",
    ),
]
_TEXT = "setting"
SETTINGS = [*declarations().values(), *EXTENSION_ONLY]


def with_settings(package: str) -> str:
    """package.json with the settings page made anew."""
    content = json.loads(package)
    content["contributes"]["configuration"]["properties"] = {
        f"{SECTION}.{setting.key}": {
            "order": order,
            **setting.allowed.schema,
            **({"enumDescriptions": [_named(key) for key in choices]} if (choices := _choices(setting)) else {}),
            "default": setting.default,
            "markdownDescription": _named(_text_key(setting)),
        }
        for order, setting in enumerate(SETTINGS)
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def with_texts(texts: str) -> str:
    """package.nls.json with the texts of the settings made anew."""
    others = {key: text for key, text in json.loads(texts).items() if not key.startswith(f"{_TEXT}.")}
    ours = {
        key: text
        for setting in SETTINGS
        for key, text in {_text_key(setting): setting.text, **_choices(setting)}.items()
    }
    return json.dumps(others | ours, ensure_ascii=False, indent=2) + "\n"


def _text_key(setting: Declaration) -> str:
    return f"{_TEXT}.{setting.key}"


def _choices(setting: Declaration) -> dict[str, str]:
    """What each choice means, by the key of its text."""
    schema = setting.allowed.schema
    meanings = zip(schema.get("enum", []), schema.get("enumDescriptions", []), strict=False)
    return {f"{_text_key(setting)}.{choice}": meaning for choice, meaning in meanings}


def _named(key: str) -> str:
    return f"%{key}%"


def with_table(readme: str) -> str:
    """The README with the table of settings made anew: the first sentence of each text, laid out as prettier does."""
    rows = [("Setting", "Meaning", "Default"), *(_row(setting) for setting in SETTINGS)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "| " + " | ".join(":" + "-" * (width - 1) for width in widths) + " |")
    return re.sub(r"(?m)^\| Setting .*\n(\|.*\n)+", lambda _: "\n".join(lines) + "\n", readme)


def _row(setting: Declaration) -> tuple[str, str, str]:
    sentence = re.split(r"(?<=[.])\s", setting.text)[0].removesuffix(".").replace("`#", "`").replace("#`", "`")
    if choices := setting.allowed.schema.get("enum"):
        sentence += ": " + ", ".join(f"`{choice}`" for choice in choices)
    shown = setting.default if isinstance(setting.default, str) else json.dumps(setting.default)
    return f"`{SECTION}.{setting.key}`", sentence, f"`{shown}`" if setting.default not in ("", None) else ""


if __name__ == "__main__":
    PACKAGE.write_text(with_settings(PACKAGE.read_text(encoding="utf-8")), encoding="utf-8")
    TEXTS.write_text(with_texts(TEXTS.read_text(encoding="utf-8")), encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
