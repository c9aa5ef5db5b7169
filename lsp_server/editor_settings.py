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
    """Asks to be told of changes of settings and of files: some clients tell only servers that ask."""
    workspace = server.client_capabilities.workspace
    settings = workspace.did_change_configuration if workspace else None
    files = workspace.did_change_watched_files if workspace else None
    registrations = []
    if settings and settings.dynamic_registration:
        registrations.append(
            types.Registration(
                id="green-code-settings",
                method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
                register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
            )
        )
    if files and files.dynamic_registration:
        every_file = types.DidChangeWatchedFilesRegistrationOptions(
            watchers=[types.FileSystemWatcher(glob_pattern="**/*")]
        )
        registrations.append(
            types.Registration(
                id="green-code-files",
                method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
                register_options=every_file,
            )
        )
    if not registrations:
        return
    try:
        params = types.RegistrationParams(registrations=registrations)
        await asyncio.wait_for(server.client_register_capability_async(params), CLIENT_ANSWER_TIMEOUT_S)
    except Exception as error:
        logger.warning("The editor will not tell of changed settings and files: %r", error)
