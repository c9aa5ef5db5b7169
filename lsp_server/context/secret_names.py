"""`SECRET_NAMES`: how files with keys, credentials and environments are usually called, and how their copies are.

It knows names alone, in lower case; the user's own list and what git ignores are `lsp_server.context.privacy`'s.
"""

from __future__ import annotations

import re
from functools import cache

_ENVIRONMENTS = (
    *("*.env", ".env", ".env.*", ".env-*", ".env_*", "!.env.example", "!.env.sample", "!.env.template"),
    *("env.local", "env.production", "env.staging", "env.development"),
    *(
        ".envrc",
        ".envrc.*",
        "!.envrc.example",
        ".flaskenv",
        ".dev.vars",
        ".dev.vars.*",
        ".renviron",
        ".renviron.*",
        "renviron.site",
    ),
)
_KEYS = (
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.pkcs12", "*.der", "*.crt", "*.cert", "*.ppk", "*.pvk"),
    *("*.gpg", "*.asc", "*.agekey", "*.jks", "*.bks", "*.keystore", "*.kdb", "*.kdbx", "*.keychain", "*.keychain-db"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*_rsa", "*_dsa", "*_ecdsa", "*_ed25519", "ssh_host_*_key"),
    *("deploy_key", "deploy-key", "ssh_key", "ssh-key", "*.pgp", "wallet.dat", "signing.properties"),
    *(".ssh/", ".gnupg/", ".password-store/", "**/sops/age/keys.txt", "*.ovpn", "**/wireguard/*.conf", "wg[0-9]*.conf"),
    *("privatekey*.txt", "private[-_]key*.txt"),
)
_CLOUDS = (
    *(".aws/", ".azure/", "**/gcloud/", "application_default_credentials.json", "*firebase-adminsdk*.json"),
    *("google-services.json", "googleservice-info.plist"),
    *("client_secret*.json", "*service-account*.json", "*service_account*.json", ".boto", ".s3cfg", "rclone.conf"),
    *("*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*", ".terraformrc", "terraform.rc", "*.tfrc.json"),
    *(".kube/", "kubeconfig", "kubeconfig.*", "kubeconfig-*", "*.kubeconfig", "*-kubeconfig", "*_kubeconfig"),
    *("*kubeconfig*.yaml", "*kubeconfig*.yml", "**/kubernetes/*.conf", "**/.docker/config.json", ".dockercfg"),
    *("kube.config", "k3s.yaml", "rootkey*.csv", "*accesskeys*.csv", "*serviceaccount*key*.json", "*service-key*.json"),
    *(
        "**/.config/doctl/",
        "**/.config/hcloud/",
        "**/.config/stripe/",
        "**/.config/glab-cli/",
        ".oci/",
        ".cloudflared/",
    ),
    *("**/.fly/config.yml", "**/.circleci/cli.yml", "ngrok.yml", ".modal.toml"),
    *(
        ".dockerconfigjson",
        ".databrickscfg",
        ".snowsql/",
        ".snowflake/",
        ".dbt/",
        "kaggle.json",
        "**/huggingface/token",
    ),
    *(".huggingface/", ".sentryclirc"),
)
_PROGRAMS = (
    *(".netrc", "_netrc", ".npmrc", ".pypirc", "pip.conf", "pip.ini", ".git-credentials", "**/.git/config"),
    *(
        "**/gh/hosts.yml",
        "**/.config/hub",
        "**/.m2/settings*.xml",
        "**/.gradle/gradle.properties",
        "**/*composer/auth.json",
    ),
    *(
        "keystore.properties",
        "key.properties",
        "connectionstrings.config",
        "wp-config.php",
        ".htpasswd",
        "htpasswd",
        ".htdigest",
    ),
    *(".pgpass", "pgpass.conf", ".my.cnf", ".mylogin.cnf", ".curlrc", ".wgetrc", ".msmtprc", ".fetchmailrc"),
    *("sftp-config.json", "**/.vscode/sftp.json", ".ftpconfig", "sitemanager.xml", "jupyter_*_config.json"),
    *("local.settings.json", "token.json", "oauth_token"),
    *(
        ".*_history",
        ".zhistory",
        "fish_history",
        ".viminfo",
        "**/etc/shadow",
        "**/etc/gshadow",
        "key3.db",
        "key4.db",
        "logins.json",
    ),
)
_SECRETS = (
    *(
        "credentials",
        "credentials.*",
        "*-credentials.json",
        "*_credentials.json",
        "*_credentials",
        "*-credentials",
        "*credentials.txt",
        ".secrets",
        ".secrets.*",
        ".secrets/",
    ),
    *(
        "secrets.yml",
        "secrets.yaml",
        "secrets.json",
        "secrets.toml",
        "secrets.ini",
        "secrets.xml",
        "secrets.properties",
    ),
    *("secrets.*.yml", "secrets.*.yaml", "*.secret", "*.secrets", "*.secrets.yml", "*.secrets.yaml", "*.secrets.json"),
    *("secret.yml", "secret.yaml", "secret.json", "secret_token.rb", "usersecrets/", ".vault-token", ".vault_pass*"),
    *(
        "secrets[-_]*.yml",
        "secrets[-_]*.yaml",
        "*[-_]secrets.yml",
        "*[-_]secrets.yaml",
        "*-secret.yml",
        "*-secret.yaml",
    ),
    *(
        "passwords.txt",
        "passwords.csv",
        "password.txt",
        ".passwd",
        "*api[-_]key.txt",
        "*apikey.txt",
        "*token.txt",
        ".token",
        ".*_token",
        "*passwords.txt",
        "*api[-_]keys.txt",
        "*api[-_]key*.json",
        "*api[-_]keys.yaml",
        "*api[-_]keys.yml",
        "apikey*.json",
        "*[-_]key.txt",
        "*[-_]key.json",
        "keyfile.json",
        "*secret.txt",
        "*secrets.txt",
        "*secret.json",
        "**/secrets/*.txt",
        "**/secrets/*.json",
        "**/secrets/*.yaml",
        "**/secrets/*.yml",
        "secret[-_]*.yaml",
        "secret[-_]*.yml",
        "arduino_secrets.h",
        "cookies.txt",
    ),
    *("vault_pass*", "vault-pass*", "hudson.util.secret"),
)
SECRET_NAMES = (*_ENVIRONMENTS, *_KEYS, *_CLOUDS, *_PROGRAMS, *_SECRETS)
"""Patterns of .gitignore, matched in lower case, anywhere on the disk."""

_MEANS_OTHERS = re.compile(r"!|\*+|\?|\[[^\]]*\]")  # what stands for other letters

# What editors, file managers and careful people put behind the name of a copy.
_BEHIND = re.compile(
    r"(?:~|\.~\d*~|[-_. ]+(?:bak|backup|old|orig|original|save|saved|copy|tmp|temp|swp|swo|swn|prev|previous|rej)\d*"
    r"|[-_. ]+copy ?\(?\d*\)?|[-_. ]+\d{1,14}| ?\(\d+\)|#)$"
)
_BEFORE = re.compile(r"^(?:#|~\$?|\.#|copy (?:\(\d+\) )?of |backup[-_ ]of[-_ ])")
_MOST_MARKS = 4  # "id_rsa.old.bak~"


def possible_secrets(path: str) -> tuple[str, ...]:
    """Those of `SECRET_NAMES`, in their order, whose letters a path in lower case has; no other matches it.

    To compile them all takes longer than anything else in a server's start, and hardly a file is called like one.
    """
    return tuple(pattern for letters, pattern in _by_letters() if letters in path)


@cache
def _by_letters() -> tuple[tuple[str, str], ...]:
    """The patterns, each behind the most letters that stand in it side by side."""
    return tuple(
        (max((part.strip("/") for part in _MEANS_OTHERS.split(pattern)), key=len), pattern) for pattern in SECRET_NAMES
    )


def originals(path: str) -> dict[str, bool]:
    """What a file in lower case would be called if it, or a folder of its, were a copy or a backup.

    Returns:
        The paths, its own first, each with whether it is its own.
    """
    *folders, name = path.split("/")
    stem, dot, ending = name.rpartition(".")
    names = [name, _unmarked(name)]
    if dot and stem:
        names.append(f"{_unmarked(stem)}.{ending}")  # "credentials copy.json"
    if name.startswith(".") and name.endswith((".swp", ".swo", ".swn")):
        names.append(_unmarked(name[1:]))  # vim's, with a dot before it
    paths = ["/".join([*folders, other]) for other in names]
    paths.append("/".join([*map(_unmarked, folders), name]))  # ".ssh.bak/config"
    return {other: other == path for other in paths}


def _unmarked(name: str) -> str:
    for _ in range(_MOST_MARKS):
        plain = _BEFORE.sub("", _BEHIND.sub("", name))
        if plain in {name, ""}:
            break
        name = plain
    return name
