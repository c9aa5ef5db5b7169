import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from lsp_server.context import privacy
from lsp_server.context.git_ignore import GitIgnores
from lsp_server.context.privacy import NOT_KNOWN_YET, PrivateFiles, is_pattern, is_remark
from lsp_server.context.secret_names import SECRET_NAMES, possible_secrets

ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there a name may hold half a character")


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ends what the tests ask git with."""
    made: list[GitIgnores] = []

    def make() -> GitIgnores:
        made.append(GitIgnores())
        return made[-1]

    monkeypatch.setattr(privacy, "GitIgnores", make)
    yield
    for git in made:
        git.close()


async def reason(private: PrivateFiles, path: Path) -> str:
    await private.learn([path])
    return private.reason(path)


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".env.local", "deploy/prod.env", "Server.PEM", "certs/tls.key", "home/.ssh/config"),
        *(".aws/credentials", "id_ed25519", "id_rsa.pub", ".npmrc", "config/secrets.yml", "client_secret_42.json"),
        *("live.tfvars", "live.tfstate", ".docker/config.json", "home/.docker/config.json", ".Renviron", ".pypirc"),
        *(".kube/config", "kubeconfig", "prod.kubeconfig", "kubeconfig.yaml", ".netrc", ".pgpass", ".git/config"),
        *(".git-credentials", "a.p12", "a.jks", ".config/gcloud/x.db", ".htpasswd", "wp-config.php", "master.key"),
        *(".config/gh/hosts.yml", ".m2/settings.xml", ".bash_history", "gcp_service-account.json", ".vault-token"),
        *("serviceAccountKey.json", "rootkey.csv", "deploy_key", ".config/doctl/config.yaml", ".composer/auth.json"),
        *("local.settings.json", "token.json", "old.pgp"),
        *("secrets-prod.yaml", "k8s-secret.yaml", "aws_credentials", "passwords.txt", "api_key.txt", "kube.config"),
        *("gcp-key.json", "openai_key.txt", ".github_token", "api-keys.yaml", "my-secrets.txt", "secrets/prod.json"),
        *("ssh_key", "signing.properties", "secret-values.yaml", "GoogleService-Info.plist", "cookies.txt"),
        *("env.production", "wg0.conf", "private_key.txt", "passwords.csv", ".sentryclirc", ".snowflake/config.toml"),
    ],
)
def test_usual_names_of_secrets_are_private(tmp_path: Path, name: str) -> None:
    assert PrivateFiles().reason(tmp_path / name).endswith("is a usual name of secrets")


@pytest.mark.parametrize(
    "name",
    [
        *(".env~", "#.env#", ".credentials.swp", ".env - Copy", "credentials copy.json", "credentials (1).json"),
        *("credentials~", "terraform.tfvars.old", "wp-config.php.bak", "secrets_old.json", ".netrc.1", ".npmrc.orig"),
        *("kaggle.json.2024", ".pgpass.bak~", ".ssh.bak/config", ".aws-old/config", "Copy of .htpasswd"),
    ],
)
def test_copies_of_secrets_are_private(tmp_path: Path, name: str) -> None:
    assert PrivateFiles().reason(tmp_path / name).endswith("is a usual name of secrets, of which it may be a copy")


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".env.example",
            ".env.sample",
            ".envrc.example",
            "env.ts",
            "environment.py",
            "keys.py",
            "src/secrets.py",
            "monkey.py",
            "keyboard.json",
            "token.py",
            "src/secrets/store.py",
            "a.envelope",
        ),
        *("config.json", "docker/config.json", "copy.py", "backup.sh.old", "Makefile~", "kube/config.go", "token.py"),
        *("tokens.txt", "secretary.yaml", "deploy_keys.py", "passwords.py", "config/stripe/a.py"),
        *("test_1.py", "auth.py", "settings.xml", "history.py", "a_rsa.py"),
    ],
)
async def test_other_names_are_not(tmp_path: Path, name: str) -> None:
    assert await reason(PrivateFiles(), tmp_path / name) == ""


def test_what_a_name_may_match_says_the_same_of_it_as_all_patterns() -> None:
    every = GitIgnoreSpec.from_lines(SECRET_NAMES)
    rng = random.Random(7)
    n_private = 0
    for pattern in SECRET_NAMES:
        for _ in range(12):
            name = pattern.lstrip("!").replace("**/", rng.choice(["", "a/", "a/b/"]))
            name = re.sub(r"\*", lambda _: rng.choice(["", "x", "prod", ".env"]), name)
            name = re.sub(r"\[[^]]*\]", lambda _: rng.choice("-_1a"), name)
            name += rng.choice(["x.json", ".env"]) if name.endswith("/") else ""
            name = rng.choice(["", "a/", "x/secrets/", ".ssh/"]) + name + rng.choice(["", "", "/x", ".bak"])
            told, possible = every.check_file(name), GitIgnoreSpec.from_lines(possible_secrets(name))
            found = possible.check_file(name)
            deciding = None if found.index is None else possible.patterns[found.index].pattern
            assert found.include == told.include, name
            assert deciding == (None if told.index is None else every.patterns[told.index].pattern), name
            n_private += bool(told.include)
    assert n_private > 1000
    assert possible_secrets("src/engine/window.py") == ()


@pytest.mark.parametrize(
    ("pattern", "name", "is_private"),
    [
        ("customers/", "src/customers/a.py", True),
        ("/config.py", "config.py", True),
        ("/config.py", "src/config.py", False),
        ("{folder}/deep/", "deep/a.py", True),
        ("{folder}/deep", "deep/more/a.py", True),
        ("{folder}/*.sql", "a.sql", True),
        ("{folder}/*.sql", "deep/a.sql", False),
        ("~/work/", "work/a.py", True),
        ("~/work/*.py", "work/a.py", True),
        ("~/work/", "other/a.py", False),
        ("~", "other/a.py", True),
        ("./config.py", "config.py", True),
        ("./customers/", "customers/a.py", True),
        ("./config.py", "src/config.py", False),
        ("customers\\*", "customers/a.py", True),
        ("customers\\", "src/customers/a.py", True),
        ("customers/\\", "src/customers/a.py", True),
        (" customers//", "src/customers/a.py", True),
        ("*.{sql, csv}", "a.csv", True),
        ("$HOME/clients/", "clients/a.py", True),
        ("${userHome}/clients/", "clients/a.py", True),
        ("${workspaceFolder}/config.py", "config.py", True),
        ("${workspaceFolder}\\config.py", "config.py", True),
        ("${workspaceFolder}/config.py", "src/config.py", False),
        ("./src\\keys\\*.py", "src/keys/a.py", True),
        (".\\config.py", "config.py", True),
        (".\\config.py", "src/config.py", False),
        ("*.{sql,csv}", "a.csv", True),
        ("[slug]/", "src/[slug]/a.py", True),
        ("[st]*.py", "src/test.py", True),
        ("{{config,keys}.py,more/}", "keys.py", True),
        ("{customers,clients}/", "src/clients/a.py", True),
        ("*.{sql,csv}", "a.py", False),
        ("cafe\u0301/", "caf\u00e9/a.py", True),
        ("caf\u00e9/", "cafe\u0301/a.py", True),
    ],
)
async def test_patterns_from_a_folder_the_disk_or_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, name: str, *, is_private: bool
) -> None:
    folder = tmp_path.resolve() / ("of [me] & myself" if sys.platform == "win32" else "of [me] & my*self")
    folder.mkdir()
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(folder))
    written = str(folder) if sys.platform == "win32" else str(folder).replace("[", "\\[").replace("*self", "\\*self")
    pattern = pattern.replace("{folder}", written)

    for folders in ([folder], [folder, folder.parent], [folder.parent, folder]):
        assert bool(await reason(PrivateFiles([pattern], folders), folder / name)) is is_private
    if not pattern.startswith(("/config", "./", ".\\", "customers\\*", "${workspace")):
        assert bool(await reason(PrivateFiles([pattern]), folder / name)) is is_private


async def test_the_user_has_the_last_word(tmp_path: Path) -> None:
    private = PrivateFiles(["customers/", "!.npmrc", "*.sql", "!/public.sql"], [tmp_path])

    assert private.reason(tmp_path / "customers" / "a.py") == "the setting greenCode.privateFiles has customers/"
    assert private.reason(tmp_path / ".npmrc") == ""
    assert private.reason(tmp_path / "a.sql")
    assert private.reason(tmp_path / "public.sql") == ""


def test_an_exception_spares_git_the_question(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("generated/\n")

    assert PrivateFiles(["!generated/"], [tmp_path]).reason(tmp_path / "generated" / "a.py") == ""


@pytest.mark.parametrize("odd", ["[", "# words", "", " ", "!", "foo\\", "/", "a[b"])
def test_what_is_no_pattern_takes_no_protection_away(tmp_path: Path, odd: str) -> None:
    for patterns in (["customers/", odd], [odd, "customers/"]):
        assert PrivateFiles(patterns, [tmp_path]).reason(tmp_path / "customers" / "a.py")


async def test_private_until_git_has_answered(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log\n")
    private = PrivateFiles(folders=[tmp_path])

    assert private.reason(tmp_path / "a.py") == NOT_KNOWN_YET
    assert await reason(private, tmp_path / "a.py") == ""
    assert private.reason(tmp_path / "b.py") == NOT_KNOWN_YET


def test_a_link_that_leads_elsewhere_is_seen_a_moment_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at once: each key asks twice, and the disk would be asked each time."""
    now_s = [100.0]
    monkeypatch.setattr("lsp_server.context.privacy.time.monotonic", lambda: now_s[0])
    private, link = PrivateFiles(), tmp_path / "notes.txt"
    link.symlink_to(tmp_path / "a.txt")
    assert private.reason(link) == ""

    link.unlink()
    link.symlink_to(tmp_path / ".env")
    now_s[0] += 2.0

    assert private.reason(link)


def test_a_link_is_as_private_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TOKEN=1")
    (tmp_path / "notes.txt").symlink_to(tmp_path / ".env")
    (tmp_path / "keys").symlink_to(tmp_path / ".ssh")

    assert PrivateFiles().reason(tmp_path / "notes.txt")
    assert PrivateFiles().reason(tmp_path / "keys" / "config")


@pytest.mark.parametrize("name", ["a\0b.py", pytest.param("\ud800.py", marks=ON_POSIX)], ids=["NUL", "surrogate"])
async def test_a_name_that_no_file_can_have_is_private(tmp_path: Path, name: str) -> None:
    (tmp_path / ".gitignore").write_text("*.log\n")

    assert await reason(PrivateFiles(folders=[tmp_path]), tmp_path / name)


def test_a_link_that_leads_to_itself_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.py").symlink_to(tmp_path / "a.py")

    PrivateFiles().reason(tmp_path / "a.py")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("*.py", True), ("!a", True), ("", False), ("# words", False), ("!", False), ("a\\", True), ("\\", False)],
)
def test_lines_that_match_nothing_are_told_apart(text: str, *, is_one: bool) -> None:
    assert is_pattern(text) is is_one


def test_remarks_are_no_mistakes() -> None:
    assert [is_remark(text) for text in ("# who we work for", "", "  ", "a", "[")] == [True, True, True, False, False]
