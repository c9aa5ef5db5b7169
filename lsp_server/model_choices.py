"""`model_choices`: the known models for the client, with what each would take on this machine.

Rating them takes two seconds of computing, in a thread of its own. Nothing is fetched, and no model is run.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lsp_server.protocol import ModelChoice, ModelsResult

if TYPE_CHECKING:
    from lsp_server.translation import Say


async def model_choices(say: Say) -> ModelsResult:
    """Rates the models, the smallest first, with the reasons as `say` says them."""
    return await asyncio.to_thread(_rate, say)


def _rate(say: Say) -> ModelsResult:
    from engine.recommendation import measure_machine, recommend  # loads the kernels: not before somebody asks

    return ModelsResult(
        models=[
            ModelChoice(
                name=each.model.name,
                is_advised=each.is_advised,
                download_bytes=each.download_bytes,
                running_bytes=each.model.sizes.needs.running_bytes,
                token_ms=each.token_ms,
                reads_both_sides=each.model.format is not None,
                lacks_torch=each.lacks_torch,
                licence=each.model.licence,
                why_not=say(each.why_not),
            )
            for each in recommend(measure_machine())
        ]
    )
