"""What of the workspace reaches the engine's projects, and where a document belongs."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lsprotocol import types

from engine.project.projects import Projects
from lsp_server.context.documents import OpenDocuments
from lsp_server.project import ProjectKeeper
from lsp_server.settings import Settings


class Workspace:
    """A folder that is open, a keeper, and a way to wait for what is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.projects = Projects(lambda text: list(map(ord, text)), 0x110000)
        self.documents = OpenDocuments(
            folder.as_uri(), workspace_folders=[types.WorkspaceFolder(uri=folder.as_uri(), name=folder.name)]
        )
        self.readings: list[str] = []
        self.keeper = ProjectKeeper(self.readings.append, lambda: None)

    def open(self, name: str, text: str, language_id: str = "python") -> str:
        """Opens a document; its name is returned."""
        uri = (self.folder / name).as_uri()
        item = types.TextDocumentItem(uri=uri, language_id=language_id, version=1, text=text)
        self.documents.put_text_document(item)
        self.keeper.note_document(uri)
        return uri

    async def names(self) -> list[str]:
        """The files that the engine knows once all is read."""
        await asyncio.to_thread(_wait_for_reader, self.keeper)
        return sorted(Path(name).name for name in self.projects.text(str(self.folder)).names)


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    (tmp_path / "a.py").write_text("price = 1\n")
    (tmp_path / "b.java").write_text("int cost = 2;\n")
    (tmp_path / "c.py").write_text("rebate = 3\n")
    workspace = Workspace(tmp_path)
    workspace.keeper.use(Settings(), workspace.documents)
    workspace.keeper.use_engine(workspace.projects.text)
    yield workspace
    workspace.keeper.close()


async def test_files_of_the_languages_that_are_open_are_read(workspace: Workspace) -> None:
    workspace.open("a.py", "price = 1\n")

    assert set(workspace.readings) == {f"Reading the project {workspace.folder.name}."}  # before anything else is asked
    assert await workspace.names() == ["a.py", "c.py"]
    await asyncio.sleep(0)  # the loop's turn, for what the reader has said
    assert workspace.readings[-1] == ""


async def test_another_language_is_read_when_its_first_document_is_opened(workspace: Workspace) -> None:
    workspace.open("a.py", "price = 1\n")
    await workspace.names()
    (workspace.folder / "c.py").unlink()  # and nobody says so: the files that are known are not read again
    workspace.open("b.java", "int cost = 2;\n", "java")

    assert await workspace.names() == ["a.py", "b.java", "c.py"]


@pytest.mark.parametrize(
    ("opened", "others"),
    [
        ("main.cpp", ["price.h", "price.hxx", "old.c"]),
        ("price.h", ["main.cpp"]),
        ("App.tsx", ["price.ts", "price.mts"]),
        ("price.ts", ["App.tsx"]),
        ("app.js", ["price.mjs", "Price.jsx", "price.cjs"]),
        ("app.py", ["price.pyi"]),
        ("build.gradle.kts", ["Price.kt"]),
        ("App.svelte", ["Price.svelte"]),
        ("Makefile", ["rules.mk"]),
        ("test.exs", ["price.ex"]),
    ],
)
async def test_files_that_name_the_same_things_are_read_whatever_they_end_with(
    tmp_path: Path, opened: str, others: list[str]
) -> None:
    for name in (opened, *others, "price.java"):
        (tmp_path / name).write_text("price = 1\n")
    workspace = Workspace(tmp_path)
    workspace.keeper.use(Settings(), workspace.documents)
    workspace.keeper.use_engine(workspace.projects.text)
    workspace.open(opened, "price = 1\n", "")

    assert await workspace.names() == sorted([opened, *others])
    workspace.keeper.close()


async def test_a_document_belongs_to_the_folder_that_it_lies_in(workspace: Workspace, tmp_path: Path) -> None:
    uri = workspace.open("a.py", "price = 1\n")
    inside, outside = workspace.keeper.document_of(uri), workspace.keeper.document_of("file:///elsewhere/b.py")

    assert inside is not None
    assert outside is not None
    assert (inside.project, inside.file) == (str(tmp_path), str(tmp_path / "a.py"))
    assert outside.project == ""


@pytest.mark.parametrize(
    ("uri", "language_id", "is_read"),
    [
        ("untitled:Untitled-1", "python", True),
        ("untitled:Untitled-1", "plaintext", False),
        ("vscode-notebook-cell:{folder}/n.ipynb#W0", "python", True),
        ("file://{folder}/tool", "python", True),
        ("file://{folder}/notes.md", "python", False),
    ],
)
async def test_the_editor_says_the_language_where_no_name_does(
    workspace: Workspace, uri: str, language_id: str, *, is_read: bool
) -> None:
    uri = uri.format(folder=workspace.folder)
    item = types.TextDocumentItem(uri=uri, language_id=language_id, version=1, text="")
    workspace.documents.put_text_document(item)
    workspace.keeper.note_document(uri)

    document = workspace.keeper.document_of(uri)

    assert ("a.py" in await workspace.names()) is is_read
    if is_read:
        assert document is not None
        assert document.project == str(workspace.folder)


async def test_what_is_typed_in_one_document_counts_in_the_next(workspace: Workspace) -> None:
    edited = workspace.open("a.py", "price = 1\n")
    other = workspace.open("c.py", "rebate = 3\n")
    await workspace.names()
    change = types.TextDocumentContentChangeWholeDocument(text="surcharge = 4\n")
    workspace.documents.update_text_document(types.VersionedTextDocumentIdentifier(uri=edited, version=2), change)
    workspace.keeper.note_edit(edited)
    place = workspace.keeper.document_of(other)
    assert place is not None
    await asyncio.to_thread(_wait_for_reader, workspace.keeper)

    found = workspace.projects.text(place.project).without(place.file).followers(list(map(ord, "surcharge ")))
    assert found is not None
    assert found.length == len("surcharge ")


def _wait_for_reader(keeper: ProjectKeeper) -> None:
    done = threading.Event()
    keeper._reader._do(done.set)
    assert done.wait(30)


async def test_until_a_closed_document_is_forgotten_the_project_has_no_say(workspace: Workspace) -> None:
    other = workspace.open("a.py", "price = 1\n")
    uri = workspace.open("b.py", "token = 'secret'\n")
    workspace.documents.remove_text_document(uri)
    workspace.keeper.note_files([uri])

    assert workspace.keeper.document_of(other) is None
    assert await workspace.names() == ["a.py", "c.py"]
    assert workspace.keeper.document_of(other) is not None


async def test_a_document_that_no_disk_holds_is_forgotten_when_it_is_closed(workspace: Workspace) -> None:
    uri = workspace.open("b.py", "token = 'secret'\n")
    assert await workspace.names() == ["a.py", "b.py", "c.py"]
    workspace.documents.remove_text_document(uri)
    workspace.keeper.note_files([uri])
    await asyncio.to_thread(_wait_for_reader, workspace.keeper)

    assert await workspace.names() == ["a.py", "c.py"]


async def test_what_git_has_begun_to_ignore_is_forgotten(workspace: Workspace) -> None:
    workspace.open("a.py", "price = 1\n")
    await workspace.names()
    ignored = workspace.folder / ".gitignore"
    ignored.write_text("c.py\n")
    workspace.keeper.note_files([ignored.as_uri()])
    await asyncio.to_thread(_wait_for_reader, workspace.keeper)

    assert await workspace.names() == ["a.py"]


async def test_switched_off_nothing_is_known_and_nothing_is_asked(workspace: Workspace) -> None:
    uri = workspace.open("a.py", "price = 1\n")
    await workspace.names()
    workspace.keeper.use(Settings(project_text=False), workspace.documents)

    assert workspace.projects.text(str(workspace.folder)).names == ()
    assert workspace.keeper.document_of(uri) is None


async def test_what_has_become_private_is_forgotten(workspace: Workspace) -> None:
    workspace.open("a.py", "price = 1\n")
    await workspace.names()
    workspace.keeper.use(Settings(private_files=["c.py"]), workspace.documents)

    assert await workspace.names() == ["a.py"]


async def test_another_engine_is_told_everything_anew(workspace: Workspace) -> None:
    workspace.open("a.py", "price = 1\n")
    await workspace.names()
    workspace.keeper.lose_engine()
    assert workspace.projects.text(str(workspace.folder)).names == ()
    workspace.keeper.use_engine(workspace.projects.text)

    assert await workspace.names() == ["a.py", "c.py"]
