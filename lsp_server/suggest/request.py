"""From the cursor's surroundings and the settings to the engine's request.

It knows no protocol and no queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.types import CompletionRequest, PromptOptions
from lsp_server.context.neighbours import SNIPPET_CHARS

if TYPE_CHECKING:
    from lsp_server.context.documents import CursorContext
    from lsp_server.settings import Settings

_IMPORT_CHARS = 400  # a dozen lines


def completion_request(context: CursorContext, settings: Settings) -> CompletionRequest:
    """What the engine is asked."""
    return CompletionRequest(
        prefix=context.prefix,
        suffix=context.suffix,
        language_id=context.language_id,
        path=context.path,
        repository=context.repository,
        snippets=context.snippets,
        in_project=context.in_project,
        prompt=PromptOptions(
            snippet_chars=SNIPPET_CHARS if settings.other_files else 0,
            import_chars=_IMPORT_CHARS if settings.imports else 0,
            with_header=settings.file_path,
        ),
        green_mode=settings.green_mode,
        policy=settings.policy or None,
        max_new_tokens=settings.max_new_tokens,
    )
