"""`create_server`, and one function per message: parameters to a call of the server, its answer to LSP types.

Start reading here. No function has logic of its own. Their first parameter must be called `ls`: pygls fills it in by
that name.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from engine.config import VERSION
from engine.errors import EngineError
from engine.sentences import Sentence
from lsp_server.context.documents import normalised, typed_at
from lsp_server.language_server import GreenCodeServer
from lsp_server.model_choices import model_choices
from lsp_server.protocol import (
    CLEAR_HISTORY,
    DID_ACCEPT,
    HISTORY,
    MODELS,
    RECENT,
    RESET_SESSION,
    SNOOZE,
    HistoryParams,
    HistoryResult,
    ModelsResult,
    RecentResult,
    SessionEnergy,
    SnoozeParams,
)
from lsp_server.registry import HANDLERS, handles
from lsp_server.rest import MINUTE_S
from lsp_server.settings_entries import SECTION
from lsp_server.status import status_of
from lsp_server.suggest.reasons import Reason
from lsp_server.suggest.seams import nothing_to_prepare
from lsp_server.suggest.suggester import TYPED_ON, Question

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lsp_server.books.recent import Asked
    from lsp_server.context.documents import OpenDocument
    from lsp_server.suggest.seams import EngineFactory, Preparation

logger = logging.getLogger(__name__)

_EVERY_FILE = types.FileOperationRegistrationOptions(
    filters=[types.FileOperationFilter(pattern=types.FileOperationPattern(glob="**/*"))]
)
MAX_HISTORY_DAYS = 3660
MAX_SNOOZE_MINUTES = 24 * 60
MAX_ACCEPTED_CHARS = 1_000_000  # no suggestion is as long
_COMPLETION_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


def create_server(
    engine_factory: EngineFactory, *, prepare: Preparation = nothing_to_prepare, ledger_path: Path | None = None
) -> GreenCodeServer:
    """Builds a `GreenCodeServer`, see there, that has not begun to listen; `lsp_server.stdio.serve_stdio` runs it."""
    server = GreenCodeServer(version=VERSION, engine_factory=engine_factory, prepare=prepare, ledger_path=ledger_path)
    for method, handler, options in HANDLERS:
        server.feature(method, options)(handler)
    server.command(DID_ACCEPT)(did_accept)
    return server


@handles(types.INITIALIZE)
def initialize(ls: GreenCodeServer, params: types.InitializeParams) -> None:
    """Prepares; pygls itself answers with the capabilities."""
    ls.set_up(params)


@handles(types.INITIALIZED)
async def initialized(ls: GreenCodeServer, params: types.InitializedParams) -> None:
    """The client is ready: load the engine."""
    await ls.start()


@handles(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
def did_change_configuration(ls: GreenCodeServer, params: types.DidChangeConfigurationParams) -> None:
    """Settings changed: they come along, and then hold for the very next message, or have to be fetched."""
    settings = params.settings
    if isinstance(settings, dict) and SECTION in settings:
        ls.apply_settings(settings[SECTION])
    else:
        ls.keep(ls.fetch_settings())


@handles(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
def did_change_folders(ls: GreenCodeServer, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """The workspace has other folders; pygls keeps the list."""
    ls.note_folders()


@handles(types.TEXT_DOCUMENT_DID_OPEN)
def did_open(ls: GreenCodeServer, params: types.DidOpenTextDocumentParams) -> None:
    """Somebody looks at a document; pygls keeps the text."""
    ls.surroundings.visit(params.text_document.uri)
    ls.project.note_document(params.text_document.uri)
    if ls.quiet.is_undecided(params.text_document.uri):
        ls.keep(ls.note_document(params.text_document.uri))


@handles(types.TEXT_DOCUMENT_DID_CHANGE)
def did_change(ls: GreenCodeServer, params: types.DidChangeTextDocumentParams) -> None:
    """Somebody types; pygls keeps the text."""
    ls.rest.note_use()
    ls.suggester.note_key()
    _note_taken(ls, params.text_document.uri, params.content_changes)
    ls.project.note_edit(params.text_document.uri)
    match params.content_changes:
        case [*_, types.TextDocumentContentChangePartial(range=changed)]:
            ls.surroundings.visit(params.text_document.uri, changed.start.line)
        case _:
            ls.surroundings.visit(params.text_document.uri)


@handles(types.TEXT_DOCUMENT_DID_SAVE)
def did_save(ls: GreenCodeServer, params: types.DidSaveTextDocumentParams) -> None:
    """A document is as somebody wants it."""
    ls.surroundings.visit(params.text_document.uri)
    ls.project.note_document(params.text_document.uri)


@handles(types.TEXT_DOCUMENT_DID_CLOSE)
def did_close(ls: GreenCodeServer, params: types.DidCloseTextDocumentParams) -> None:
    """A document was closed: cancels what it asked, and forgets it where it was never saved."""
    ls.suggester.forget(params.text_document.uri)
    ls.surroundings.close(params.text_document.uri)
    ls.project.note_files([params.text_document.uri])


@handles(types.NOTEBOOK_DOCUMENT_DID_OPEN)
def did_open_notebook(ls: GreenCodeServer, params: types.DidOpenNotebookDocumentParams) -> None:
    """Somebody looks at a notebook; pygls keeps its cells."""
    for cell in params.cell_text_documents:
        ls.project.note_document(cell.uri)


@handles(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
def did_change_notebook(ls: GreenCodeServer, params: types.DidChangeNotebookDocumentParams) -> None:
    """Somebody types in a cell, or adds, moves or takes away cells; pygls keeps them."""
    cells = params.change.cells
    for text in (cells.text_content or []) if cells is not None else []:
        ls.suggester.note_key()
        _note_taken(ls, text.document.uri, text.changes)
    structure = cells.structure if cells is not None else None
    for closed in (structure.did_close or []) if structure is not None else []:
        ls.suggester.forget(closed.uri)
    for opened in (structure.did_open or []) if structure is not None else []:
        ls.project.note_document(opened.uri)


@handles(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
def did_close_notebook(ls: GreenCodeServer, params: types.DidCloseNotebookDocumentParams) -> None:
    """A notebook was closed: cancels what its cells asked."""
    for cell in params.cell_text_documents:
        ls.suggester.forget(cell.uri)


@handles(types.WORKSPACE_DID_RENAME_FILES, _EVERY_FILE)
def did_rename_files(ls: GreenCodeServer, params: types.RenameFilesParams) -> None:
    """Files have other names now, and what was seen under the old ones is theirs."""
    ls.surroundings.forget(file.old_uri for file in params.files)
    ls.project.note_files(name for file in params.files for name in (file.old_uri, file.new_uri))


@handles(types.WORKSPACE_DID_DELETE_FILES, _EVERY_FILE)
def did_delete_files(ls: GreenCodeServer, params: types.DeleteFilesParams) -> None:
    """Files are gone."""
    ls.surroundings.forget(file.uri for file in params.files)
    ls.project.note_files(file.uri for file in params.files)


@handles(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
def did_change_files(ls: GreenCodeServer, params: types.DidChangeWatchedFilesParams) -> None:
    """Files have changed on the disk."""
    ls.project.note_files(change.uri for change in params.changes)


# Without options pygls announces no inline completion; an Emacs that reads objects as lists takes empty ones for none.
@handles(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions(work_done_progress=False))
async def inline_completion(
    ls: GreenCodeServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList | None:
    """Answers with one item, or with none when there is nothing to offer; why, the client is told beside it.

    No items take away what an editor still shows; null, to who has asked again since, leaves it.
    """
    by_hand = params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
    asked = ls.books.recent.begin(by_hand=by_hand)
    try:
        answer = await _answer(ls, params, asked)
    except asyncio.CancelledError:
        asked.end(TYPED_ON.sentence)
        raise
    if not isinstance(answer, types.InlineCompletionList):
        ls.offer_nothing(answer, is_invoked=asked.by_hand)
        asked.end(_without_names(answer) or status_of(ls.state, ls.say).message)
        return None if answer is TYPED_ON else types.InlineCompletionList(items=[])
    ls.tell(replace(ls.state, request_failure="", not_offered=None))
    return answer


async def _answer(
    ls: GreenCodeServer, params: types.InlineCompletionParams, asked: Asked
) -> types.InlineCompletionList | Reason | None:
    """The item, or why there is none; None where the status says it already."""
    uri = params.text_document.uri
    ls.rest.note_use()
    document = ls.documents.find(uri)
    if document is None:
        return Reason("none", Sentence("Green Code was not told that this document is open."))
    asked.language_id = document.language_id or ""
    refusal = await _refusal(ls, document, is_invoked=asked.by_hand)
    if refusal is not None or ls.state.engine is None:
        return refusal
    selected = params.context.selected_completion_info
    context = replace(ls.surroundings.look(document, params.position, selected), in_project=ls.project.document_of(uri))
    asked.completion_id = uuid.uuid4().hex
    question = Question(
        uri=uri,
        completion_id=asked.completion_id,
        context=context,
        is_invoked=asked.by_hand,
        # What an entry of the suggest widget stands for is not in the document: nobody can tell what was typed on.
        typed_since=typed_at(document, params.position) if selected is None else None,
    )
    try:
        suggestion = await ls.suggester.suggest(question, ls.restraint.settings)
    except EngineError as error:
        logger.warning("Completion %s: %s", question.completion_id, error)
        ls.tell(replace(ls.state, request_failure=error.sentence))
        return None
    if suggestion is None or not suggestion.text:
        return ls.suggester.why_nothing(question)
    asked.offer(suggestion.completion_id, len(suggestion.text))
    arguments: list[Any] = [suggestion.completion_id, len(suggestion.text)]
    item = types.InlineCompletionItem(
        insert_text=context.selected_text + suggestion.text,
        range=context.insert_range,
        command=types.Command(title="Accepted", command=DID_ACCEPT, arguments=arguments),
    )
    return types.InlineCompletionList(items=[item])


def _without_names(reason: Reason | None) -> str:
    """Why nothing was offered, for a report that may be passed on."""
    if reason is None:
        return ""
    return Sentence("The file stays private.") if reason.kind == "private" else reason.sentence


async def _refusal(ls: GreenCodeServer, document: OpenDocument, *, is_invoked: bool) -> Reason | None:
    """Why nothing may be offered in a document just now; None where something may."""
    version = document.version
    await ls.quiet.learn([document.uri, *ls.surroundings.names])
    if document.version != version:  # git took its time, and the position is no more what it was
        return TYPED_ON
    if refusal := ls.quiet.refusal(document.uri, document.language_id or "", is_invoked=is_invoked):
        return refusal
    ls.restraint.look()
    if is_invoked:
        ls.engine_keeper.try_again()
        return None
    return ls.restraint.pause


def _note_taken(ls: GreenCodeServer, uri: str, changes: Sequence[types.TextDocumentContentChangeEvent]) -> None:
    """Books what a change takes of the suggestion there."""
    match changes:
        case [types.TextDocumentContentChangePartial(range=where, text=inserted)] if where.start == where.end:
            if taken := ls.suggester.taken_by(uri, normalised(inserted)):
                ls.books.taken(*taken)


def did_accept(ls: GreenCodeServer, *arguments: object) -> None:
    """The editor ran the command of an item: it was accepted in full."""
    match arguments:
        case [str(completion_id), int(accepted_chars)] if _COMPLETION_ID.fullmatch(completion_id) and (
            0 <= accepted_chars <= MAX_ACCEPTED_CHARS
        ):
            ls.accept(completion_id, accepted_chars)
        case _:
            raise JsonRpcInvalidParams(f"{DID_ACCEPT} takes a completion's id and the characters that it offered.")


@handles(RESET_SESSION)
def reset_session(ls: GreenCodeServer, params: object) -> SessionEnergy:
    """Begins a new session."""
    ls.books.begin_session()
    return ls.totals()


@handles(SNOOZE)
def snooze(ls: GreenCodeServer, params: SnoozeParams) -> None:
    """The person wants quiet for a while, or no longer."""
    if not 0 <= params.minutes <= MAX_SNOOZE_MINUTES:
        raise JsonRpcInvalidParams(f"The minutes of quiet must be from 0 to {MAX_SNOOZE_MINUTES}.")
    ls.quiet.snooze(params.minutes)


@handles(HISTORY)
async def history(ls: GreenCodeServer, params: HistoryParams) -> HistoryResult:
    """Sums up the newest days of the ledger."""
    if not 1 <= params.days <= MAX_HISTORY_DAYS:
        raise JsonRpcInvalidParams(f"The number of days must be from 1 to {MAX_HISTORY_DAYS}.")
    try:
        return await ls.books.history(params, ls.say, rest_after_s=ls.settings.rest_after_minutes * MINUTE_S)
    except EngineError as error:
        raise JsonRpcInvalidParams(ls.say(error.sentence)) from None


@handles(CLEAR_HISTORY)
def clear_history(ls: GreenCodeServer, params: object) -> None:
    """The person wants the ledger empty."""
    ls.books.clear_history()


@handles(RECENT)
def recent(ls: GreenCodeServer, params: object) -> RecentResult:
    """Says what became of the newest requests, and how the server is."""
    without_names = replace(ls.state, not_offered=None, reading="")
    status = status_of(without_names, ls.say)
    return RecentResult(requests=ls.books.recent.told(ls.say), status=status, index=ls.say(ls.project.index))


@handles(MODELS)
async def models(ls: GreenCodeServer, params: object) -> ModelsResult:
    """Says what each known model would take here."""
    return await model_choices(ls.say)


@handles(types.SHUTDOWN)
async def shutdown(ls: GreenCodeServer, params: None) -> None:
    """The client is about to end the server: write what must not be lost."""
    await ls.stop()
