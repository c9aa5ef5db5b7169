import subprocess
from pathlib import Path

import pytest

from lsp_server.context.privacy import PrivateFiles, is_pattern


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose user has no list of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    project = tmp_path.resolve() / "project"
    project.mkdir()
    subprocess.run(["git", "init", "--quiet", project], check=True, capture_output=True)
    return project


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".env",
            ".env.local",
            "deploy/prod.env",
            "Server.PEM",
            "certs/tls.key",
            "home/.ssh/config",
            ".aws/credentials",
        ),
        *("id_ed25519", "id_rsa.pub", ".npmrc", "config/secrets.yml", "client_secret_42.json", "live.tfvars"),
    ],
)
def test_usual_names_of_secrets_are_private(project: Path, name: str) -> None:
    assert "usual name of secrets" in PrivateFiles().reason(project / name)


@pytest.mark.parametrize(
    "name", [".env.example", "environment.py", "keys.py", "src/secrets.py", "monkey.py", "a.envelope"]
)
def test_other_names_are_not(project: Path, name: str) -> None:
    assert PrivateFiles().reason(project / name) == ""


CASES = [
    ["*.log", "!keep.log"],
    ["build/", "!build/a.py"],
    ["build/*", "!build/a.py"],
    ["build/**", "!build/a.py"],
    ["/a.py"],
    ["src/a.py"],
    ["**/deep/*.py"],
    ["src/**/a.py"],
    ["*.py", "!src/"],
    ["a.py ", "#a.log", "", "\\#x", "!"],
    ["[ab].py", "?.log"],
    ["*", "!*/", "!*.py"],
]
NAMES = [
    *("a.py", "b.py", "keep.log", "a.log", "x.log", "build/a.py", "build/b.py", "build/deep/a.py", "src/a.py"),
    *("src/deep/a.py", "src/deep/more/a.py", "src/build/a.py", "src/keep.log", "#x"),
]


@pytest.mark.parametrize("nested", [(), ("!a.py", "!*.log"), ("*.py",)], ids=repr)
@pytest.mark.parametrize("patterns", CASES, ids=repr)
def test_ignored_is_what_git_says(project: Path, patterns: list[str], nested: tuple[str, ...]) -> None:
    write(project / ".gitignore", *patterns)
    write(project / "src" / ".gitignore", *nested)
    private = PrivateFiles()

    ours = [name for name in NAMES if private.reason(project / name)]

    gits = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=project, input="\n".join(NAMES), capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    assert ours == gits


def test_the_pattern_is_named(project: Path) -> None:
    write(project / ".gitignore", "generated/")

    assert PrivateFiles().reason(project / "generated" / "a.py") == "git ignores it by generated/"


def test_a_changed_list_counts_at_once(project: Path) -> None:
    private = PrivateFiles()
    assert private.reason(project / "a.py") == ""

    write(project / ".gitignore", "a.py")
    assert private.reason(project / "a.py")

    write(project / ".gitignore", "b.py # longer than before")
    assert private.reason(project / "a.py") == ""

    (project / ".gitignore").unlink()
    assert private.reason(project / "b.py") == ""


def test_lists_that_are_no_part_of_the_repository_count_as_in_git(project: Path, tmp_path: Path) -> None:
    write(project / ".git" / "info" / "exclude", "mine.py")
    write(tmp_path / "config" / "git" / "ignore", "*.bak")

    assert PrivateFiles().reason(project / "src" / "mine.py")
    assert PrivateFiles().reason(project / "a.bak")


def test_outside_the_repository_its_lists_say_nothing(project: Path) -> None:
    write(project.parent / ".gitignore", "*.py")

    assert PrivateFiles().reason(project / "a.py") == ""


def test_a_folder_of_the_workspace_needs_no_repository(tmp_path: Path) -> None:
    write(tmp_path / "plain" / ".gitignore", "*.py")

    assert PrivateFiles(folders=[tmp_path / "plain"]).reason(tmp_path / "plain" / "src" / "a.py")
    assert PrivateFiles().reason(tmp_path / "plain" / "src" / "a.py") == ""


def test_the_user_has_the_last_word(project: Path) -> None:
    write(project / ".gitignore", "generated/")
    private = PrivateFiles(["customers/", "/config.py", "!.npmrc", "!generated/"], [project])

    assert private.reason(project / "src" / "customers" / "a.py") == "the setting greenCode.privateFiles has customers/"
    assert private.reason(project / "config.py")
    assert private.reason(project / "src" / "config.py") == ""
    assert private.reason(project / ".npmrc") == ""
    assert private.reason(project / "generated" / "a.py") == ""


def test_a_link_is_as_private_as_what_it_leads_to(project: Path) -> None:
    write(project / ".env", "TOKEN=1")
    (project / "notes.txt").symlink_to(project / ".env")

    assert "usual name of secrets" in PrivateFiles().reason(project / "notes.txt")


def test_an_unreadable_list_is_passed_over(project: Path) -> None:
    (project / ".gitignore").mkdir()

    assert PrivateFiles().reason(project / "a.py") == ""


@pytest.mark.parametrize(
    ("text", "is_one"), [("*.py", True), ("!a", True), ("", False), ("# words", False), ("!", False)]
)
def test_lines_that_match_nothing_are_told_apart(text: str, *, is_one: bool) -> None:
    assert is_pattern(text) is is_one
