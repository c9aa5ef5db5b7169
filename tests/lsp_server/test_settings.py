import re
from typing import get_args, get_type_hints

import pytest

from engine.config import EngineConfig
from lsp_server.settings import Declaration, Settings, declarations, engine_config, parse_settings, why_off


def test_no_settings_are_the_defaults() -> None:
    assert parse_settings(None) == (Settings(), ())
    assert parse_settings({}) == (Settings(), ())


def test_every_setting_is_read_by_its_camel_case_name() -> None:
    settings, problems = parse_settings(
        {
            "enable": False,
            "greenMode": 80,
            "onBattery": "pause",
            "sessionBudgetJ": 500,
            "model": "org/model",
            "device": "cuda",
            "precision": "fp32",
            "threads": 3,
            "remote": {"url": "https://gpu.example", "model": "coder"},
            "sharedEngine": False,
            "restAfterMinutes": 5,
            "maxNewTokens": 16,
            "policy": "fixed:24",
            "languages": {"*": False, "python": True},
            "inComments": False,
            "inStrings": False,
            "debounceMs": 100,
            "skipUnlikely": False,
            "reuse": False,
            "projectText": False,
            "otherFiles": True,
            "filePath": True,
            "imports": True,
            "privateFiles": ["customers/", "!.npmrc"],
            "logLevel": "debug",
        }
    )

    assert problems == ()
    assert settings == Settings(
        enable=False,
        green_mode=80,
        on_battery="pause",
        session_budget_j=500,
        model="org/model",
        device="cuda",
        precision="fp32",
        threads=3,
        remote_url="https://gpu.example",
        remote_model="coder",
        shared_engine=False,
        rest_after_minutes=5,
        max_new_tokens=16,
        policy="fixed:24",
        languages={"*": False, "python": True},
        in_comments=False,
        in_strings=False,
        debounce_ms=100,
        skip_unlikely=False,
        reuse=False,
        project_text=False,
        other_files=True,
        file_path=True,
        imports=True,
        private_files=["customers/", "!.npmrc"],
        log_level="debug",
    )
    assert [name for name in declarations() if getattr(settings, name) == getattr(Settings(), name)] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("enable", "yes"),
        ("enable", 1),
        ("greenMode", -1),
        ("greenMode", 101),
        ("greenMode", "50"),
        ("greenMode", True),
        ("greenMode", 49.5),
        ("model", 7),
        ("device", "gpu"),
        ("device", ["cpu"]),
        ("threads", 0),
        ("maxNewTokens", 257),
        ("policy", "fixed:0"),
        ("policy", "confidence:1.5"),
        ("policy", "sometimes"),
        ("languages", ["python"]),
        ("inComments", 1),
        ("debounceMs", -1),
        ("debounceMs", 5001),
        ("skipUnlikely", "never"),
        ("reuse", 0),
        ("otherFiles", "yes"),
        ("filePath", 1),
        ("logLevel", "loud"),
    ],
)
def test_a_bad_value_is_named_and_its_default_taken(key: str, value: object) -> None:
    settings, problems = parse_settings({key: value, "maxNewTokens" if key != "maxNewTokens" else "greenMode": 7})

    assert len(problems) == 1
    assert problems[0].startswith(f"The setting greenCode.{key} cannot be ")
    assert "use " in problems[0]
    assert settings == parse_settings({"maxNewTokens" if key != "maxNewTokens" else "greenMode": 7})[0]


@pytest.mark.parametrize("setting", declarations().values(), ids=lambda setting: setting.key)
def test_null_is_the_default_of_every_setting(setting: Declaration) -> None:
    assert parse_settings({setting.key: None}) == (Settings(), ())


@pytest.mark.parametrize("setting", declarations().values(), ids=lambda setting: setting.key)
def test_an_empty_field_is_called_empty(setting: Declaration) -> None:
    (problem,) = parse_settings({setting.key: [7]})[1]

    assert "null" not in problem
    assert problem.endswith("until then it counts as empty.") == (setting.default in (None, ""))


def test_a_setting_that_lacks_its_text_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Settings.__annotations__, "reuse", "Annotated[bool, SWITCH]")

    with pytest.raises(TypeError, match=r"Settings\.reuse must be Annotated"):
        declarations()


@pytest.mark.parametrize(
    "policy", ["", "full-depth", "learned", "project", "fixed:12", "confidence:0.8", "confidence:1"]
)
def test_policies_are_known_by_their_command_line_names(policy: str) -> None:
    assert parse_settings({"policy": policy})[0].policy == policy


def test_every_policy_that_the_settings_page_names_is_allowed() -> None:
    named = re.findall(r"`([^`]+)`", declarations()["policy"].text)

    assert len(named) >= 5
    assert {parse_settings({"policy": policy})[1] for policy in named} == {()}


def test_two_bad_values_are_two_sentences() -> None:
    settings, problems = parse_settings({"greenMode": 1000, "device": "tpu", "threads": 2})

    assert settings == Settings(threads=2)
    assert [problem.split()[2] for problem in problems] == ["greenCode.greenMode", "greenCode.device"]


def test_a_long_bad_value_is_shown_in_part() -> None:
    (problem,) = parse_settings({"device": "x" * 10_000})[1]

    assert len(problem) < 200


def test_settings_that_are_no_object_are_the_defaults_with_a_sentence() -> None:
    assert parse_settings("fast") == (
        Settings(),
        ('The settings of Green Code must be an object, not "fast".',),
    )


def test_keys_of_the_extension_are_left_alone() -> None:
    assert parse_settings({"server": {"path": 1}, "greenMode": 5}) == (Settings(green_mode=5), ())


@pytest.mark.parametrize("setting", declarations().values(), ids=lambda setting: setting.key)
def test_what_editors_allow_the_server_allows(setting: Declaration) -> None:
    schema = setting.allowed.schema
    ends = [schema[end] for end in ("minimum", "maximum") if end in schema]

    for value in (setting.default, *schema.get("enum", []), *ends):
        assert parse_settings({setting.key: value})[1] == ()


def test_editors_offer_every_choice_of_a_type() -> None:
    hints = get_type_hints(Settings)
    schemas = {name: setting.allowed.schema for name, setting in declarations().items()}
    offered = {name: set(schema["enum"]) for name, schema in schemas.items() if "enum" in schema}

    assert offered == {name: set(get_args(hints[name])) for name in ("on_battery", "device", "precision", "log_level")}


def test_an_empty_model_is_the_default_model() -> None:
    assert engine_config(Settings(model="")) == EngineConfig(shared=True)


def test_a_server_elsewhere_is_the_engine() -> None:
    settings, problems = parse_settings({"remote.url": " https://gpu.example ", "model": "org/model"})

    assert problems == ()
    assert engine_config(settings) == EngineConfig(remote_url="https://gpu.example")


def test_a_group_of_settings_that_is_none_is_left_alone() -> None:
    assert parse_settings({"remote": "https://gpu.example", "greenMode": 5}) == (Settings(green_mode=5), ())
    assert parse_settings({"remote": {"url": 7}})[1][0].startswith("The setting greenCode.remote.url cannot be 7: use ")


def test_the_green_mode_needs_no_new_engine() -> None:
    assert engine_config(Settings(green_mode=0)) == engine_config(Settings(green_mode=100))


@pytest.mark.parametrize(
    ("settings", "language", "named"),
    [
        (Settings(), "python", None),
        (Settings(enable=False), "python", "greenCode.enable"),
        (Settings(languages={"*": True, "markdown": False}), "markdown", '"markdown" (greenCode.languages)'),
        (Settings(languages={"*": False, "python": True}), "python", None),
        (Settings(languages={"*": False, "python": True}), "rust", '"rust" (greenCode.languages)'),
        (Settings(languages={"markdown": False}), "rust", None),
    ],
)
def test_what_is_switched_off_names_its_setting(settings: Settings, language: str, named: str | None) -> None:
    reason = why_off(settings, language)

    assert (named in reason) if named else (reason == "")


@pytest.mark.parametrize("odd", ["[", "!", "\\", 3, None, ["a/"]])
def test_a_bad_pattern_is_named_and_takes_no_other_along(odd: object) -> None:
    settings, (problem,) = parse_settings({"privateFiles": ["customers/", odd, "!.npmrc"], "greenMode": 7})

    assert (settings.private_files, settings.green_mode) == (["customers/", "!.npmrc"], 7)
    assert problem.startswith("The setting greenCode.privateFiles has ")
    assert problem.endswith("which is no pattern of .gitignore; the others hold.")


@pytest.mark.parametrize("remark", ["# who we work for", "", " "])
def test_a_remark_among_the_patterns_is_no_mistake(remark: str) -> None:
    settings, problems = parse_settings({"privateFiles": ["customers/", remark]})

    assert (settings.private_files, problems) == (["customers/"], ())


@pytest.mark.parametrize("value", [{"customers/": True}, 7, True, "", "#"])
def test_a_list_that_cannot_be_read_opens_nothing(value: object) -> None:
    settings, (problem,) = parse_settings({"privateFiles": value})

    assert settings.private_files == ["*"]
    assert problem.endswith("until then every file stays private.")


def test_one_pattern_is_taken_for_a_list_of_one() -> None:
    settings, (problem,) = parse_settings({"privateFiles": "customers/"})

    assert settings.private_files == ["customers/"]
    assert 'use ["customers/"]' in problem


@pytest.mark.parametrize(
    ("name", "language_id"),
    [
        ("Python", "python"),
        ("PYTHON", "python"),
        ("TypeScriptReact", "typescriptreact"),
        ("C++", "cpp"),
        ("C#", "csharp"),
        ("Shell Script", "shellscript"),
        ("python", "Python"),
        ("MyOwn", "myown"),
    ],
)
def test_languages_are_found_whatever_their_capitals(name: str, language_id: str) -> None:
    settings, problems = parse_settings({"languages": {name: False}})

    assert problems == ()
    assert why_off(settings, language_id)
    assert why_off(settings, "java") == ""


def test_a_name_that_nearly_is_a_languages_is_called_wrong() -> None:
    _, (problem,) = parse_settings({"languages": {"Pyton": False, "*": True}})

    assert problem == ('The setting greenCode.languages has "Pyton", which is no language known here: "python" is.')


def test_a_bad_switch_of_a_language_takes_no_other_along() -> None:
    settings, (problem,) = parse_settings({"languages": {"python": False, "java": "no"}})

    assert why_off(settings, "python")
    assert problem == ('The setting greenCode.languages has "no" for "java": use true or false; the others hold.')
