"""What `doctor` calls untried: the packages of this very environment against lines of a constraints file."""

import subprocess
import sys
from importlib.metadata import version

from rich.console import Console

from lsp_server.cli.render import show_untried
from lsp_server.cli.tested_versions import UntriedVersion, find_untried


def test_another_version_than_the_tested_one_is_untried() -> None:
    found = find_untried(["# a comment", "pygls==0.1", f"rich=={version('rich')}"])

    assert found == [UntriedVersion("pygls", version("pygls"), "0.1")]


def test_a_build_of_the_tested_version_is_tried() -> None:
    release = version("torch").partition("+")[0]  # its local part says for which devices it was built

    assert find_untried([f"torch=={release}"]) == []


def test_other_pythons_and_absent_packages_are_passed_over() -> None:
    assert find_untried(["pygls==0.1 ; python_full_version < '3'", "no-such-package==1.0"]) == []


def test_the_user_is_told_in_words() -> None:
    with (console := Console(width=200)).capture() as told:
        show_untried(console, [UntriedVersion("pygls", "2.5", "2.1.1")])
        show_untried(console, None)

    assert "pygls 2.5 is untried; this was tested with 2.1.1" in told.get()
    assert "tested versions unknown" in told.get()


def test_asking_imports_no_torch() -> None:
    program = "import sys, lsp_server.cli.tested_versions as t; t.untried_versions(); print('torch' in sys.modules)"

    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
