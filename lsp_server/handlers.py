"""One function per message: parameters to a call of the server, its answer to LSP types. No logic of its own.

The first parameter must be called `ls`: pygls fills it in by that name.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from engine.errors import EngineError
from lsp_server.context.documents import typed_at
from lsp_server.language_server import GreenCodeServer  # noqa: TC001 - pygls reads the annotations of commands
from lsp_server.protocol import (
    DID_ACCEPT,
    DayEnergy,
    HistoryParams,
    HistoryResult,
    SessionEnergy,
    SnoozeParams,
)
from lsp_server.settings import SECTION
from lsp_server.suggest.request import insert_text
from lsp_server.suggest.suggester import Question

logger = logging.getLogger(__name__)

MAX_HISTORY_DAYS = 3660
MAX_SNOOZE_MINUTES = 24 * 60


def initialize(ls: GreenCodeServer, params: types.InitializeParams) -> None:
    """Prepares; pygls itself answers with the capabilities."""
    ls.set_up(params)


async def initialized(ls: GreenCodeServer, params: types.InitializedParams) -> None:
    """The client is ready: load the engine."""
    await ls.start()


def did_change_configuration(ls: GreenCodeServer, params: types.DidChangeConfigurationParams) -> None:
    """Settings changed: they come along, and then hold for the very next message, or have to be fetched."""
    settings = params.settings
    if isinstance(settings, dict) and SECTION in settings:
        ls.apply_settings(settings[SECTION])
    else:
        ls.fetch_settings()


def did_change_folders(ls: GreenCodeServer, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """The workspace has other folders; pygls keeps the list."""
    ls.note_folders()


def did_open(ls: GreenCodeServer, params: types.DidOpenTextDocumentParams) -> None:
    """Somebody looks at a document; pygls keeps the text."""
    ls.surroundings.visit(params.text_document.uri)


def did_change(ls: GreenCodeServer, params: types.DidChangeTextDocumentParams) -> None:
    """Somebody types; pygls keeps the text."""
    ls.suggester.note_key()
    match params.content_changes:
        case [*_, types.TextDocumentContentChangePartial(range=changed)]:
            ls.surroundings.visit(params.text_document.uri, changed.start.line)
        case _:
            ls.surroundings.visit(params.text_document.uri)


def did_save(ls: GreenCodeServer, params: types.DidSaveTextDocumentParams) -> None:
    """A document is as somebody wants it."""
    ls.surroundings.visit(params.text_document.uri)


def did_close(ls: GreenCodeServer, params: types.DidCloseTextDocumentParams) -> None:
    """Nobody looks at that document any more."""
    ls.suggester.forget(params.text_document.uri)


async def inline_completion(
    ls: GreenCodeServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList | None:
    """Answers with one item, or null when there is nothing to offer."""
    uri = params.text_document.uri
    document = ls.documents.find(uri)
    if document is None:
        logger.warning("A completion was asked in a document that is not open")
        return None
    is_invoked = params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
    refusal = ls.quiet.refusal(uri, document.language_id or "", is_invoked=is_invoked)
    ls.update_status(not_offered=refusal)
    if refusal:
        logger.debug("Nothing is offered: %s", refusal)
        return None
    selected = params.context.selected_completion_info
    context = ls.surroundings.look(document, params.position, selected)
    question = Question(
        uri=uri,
        completion_id=uuid.uuid4().hex,
        context=context,
        is_invoked=is_invoked,
        # What an entry of the suggest widget stands for is not in the document: nobody can tell what was typed on.
        typed_since=typed_at(document, params.position) if selected is None else None,
    )
    try:
        suggestion = await ls.suggester.suggest(question, ls.settings)
    except EngineError as error:
        logger.warning("Completion %s: %s", question.completion_id, error)
        ls.update_status(request_failure=str(error))
        return None
    if suggestion is None or not suggestion.text:
        return None
    ls.update_status(request_failure="")
    arguments: list[Any] = [suggestion.completion_id, len(suggestion.text)]
    item = types.InlineCompletionItem(
        insert_text=insert_text(context, suggestion.text),
        range=context.insert_range,
        command=types.Command(title="Accepted", command=DID_ACCEPT, arguments=arguments),
    )
    return types.InlineCompletionList(items=[item])


def did_accept(ls: GreenCodeServer, *arguments: object) -> None:
    """The editor ran the command of an item: it was accepted in full."""
    match arguments:
        case [str(completion_id), int(accepted_chars)]:
            ls.accept(completion_id, accepted_chars)
        case _:
            raise JsonRpcInvalidParams(f"{DID_ACCEPT} takes a completion's id and the characters that it offered.")


def reset_session(ls: GreenCodeServer, params: object) -> SessionEnergy:
    """Begins a new session."""
    return ls.reset_session()


def snooze(ls: GreenCodeServer, params: SnoozeParams) -> None:
    """The person wants quiet for a while, or no longer."""
    if not 0 <= params.minutes <= MAX_SNOOZE_MINUTES:
        raise JsonRpcInvalidParams(f"The minutes of quiet must be from 0 to {MAX_SNOOZE_MINUTES}.")
    ls.quiet.snooze(params.minutes)


def history(ls: GreenCodeServer, params: HistoryParams) -> HistoryResult:
    """Sums up the newest days of the ledger."""
    if params.days < 1:
        raise JsonRpcInvalidParams("The number of days must be 1 or more.")
    days = ls.ledger.history(min(params.days, MAX_HISTORY_DAYS))
    return HistoryResult(
        days=[
            DayEnergy(
                day=day.day,
                energy_j=day.energy_j,
                provenance=day.provenance.value,
                baseline_energy_j=day.baseline_energy_j,
                requests=day.requests,
                reused=day.reused,
                accepted=day.accepted,
                accepted_chars=day.accepted_chars,
            )
            for day in days
        ]
    )


async def shutdown(ls: GreenCodeServer, params: None) -> None:
    """The client is about to end the server: write what must not be lost."""
    await ls.stop()
