"""How settings come from the editor: it is asked for them, and asked to tell of changes. Reads none of them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.settings_entries import SECTION

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)

CLIENT_ANSWER_TIMEOUT_S = 5.0


async def pull_settings(server: LanguageServer) -> object | None:
    """Asks the client for the settings; None where it cannot be asked, or has none."""
    workspace = server.client_capabilities.workspace
    if not (workspace and workspace.configuration):
        return None
    items = [types.ConfigurationItem(section=SECTION)]
    try:
        answer = await asyncio.wait_for(
            server.workspace_configuration_async(types.ConfigurationParams(items=items)),
            CLIENT_ANSWER_TIMEOUT_S,
        )
    except Exception as error:
        logger.warning("The editor did not tell its settings: %r", error)
        return None
    return answer[0] if answer else None


async def listen_for_settings(server: LanguageServer) -> None:
    """Asks to be told of changes: some clients tell only servers that ask."""
    workspace = server.client_capabilities.workspace
    change = workspace.did_change_configuration if workspace else None
    if not (change and change.dynamic_registration):
        return
    registration = types.Registration(
        id="green-code-settings",
        method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
        register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
    )
    params = types.RegistrationParams(registrations=[registration])
    try:
        await asyncio.wait_for(server.client_register_capability_async(params), CLIENT_ANSWER_TIMEOUT_S)
    except Exception as error:
        logger.warning("The editor will not tell of changed settings: %r", error)
