"""The messages of ours beyond LSP, with their fields; the mirror of vscode-extension/src/protocol.ts.

tests/test_protocol_mirror.py compares the two files. Names on the wire are camelCase; here and there the fields
stand in the same order. Unknown is null, never 0. No text of the user's code is in any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

STATUS = "greenCode/status"  # notification, server to client, after each change
SESSION_ENERGY = "greenCode/sessionEnergy"  # notification, server to client, soon after a change
NOT_OFFERED = "greenCode/notOffered"  # notification, server to client, where a person asked by hand and gets nothing
RESET_SESSION = "greenCode/resetSession"  # request, client to server: no params, answers SessionEnergy
HISTORY = "greenCode/history"  # request, client to server: HistoryParams, answers HistoryResult
CLEAR_HISTORY = "greenCode/clearHistory"  # request, client to server: no params, answers null
MODELS = "greenCode/models"  # request, client to server: no params, answers ModelsResult
RECENT = "greenCode/recent"  # request, client to server: no params, answers RecentResult
SNOOZE = "greenCode/snooze"  # request, client to server: SnoozeParams, answers null
DID_ACCEPT = (
    "greenCode.didAccept"  # command of every item, run by the editor on full accept: [completionId, characters]
)

Health = Literal["ok", "warning", "error"]
Span = Literal["hour", "day", "session", "language"]
Outcome = Literal["computed", "reused", "skipped"]
Remedy = Literal["none", "torch", "restart"]
Silence = Literal["none", "off", "snoozed", "paused", "private", "skipped", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the server is.

    Attributes:
        health: "ok", "warning" (works, with something to know), "error" (gives no completions).
        quiescent: False while something is under way (loading, downloading, completing).
        message: One sentence for people; "" when there is nothing to say.
        remedy: What brings completions back: "torch", which the model needs and is not installed, or a "restart" of the
            server; else "none".
        silence: Why nothing is offered though all is well: switched off, snoozed, paused by itself, a private file, a
            place where a suggestion is seldom kept, or no suggestion worth showing at the last place; else "none".
        power: On battery, saving, or not known: what follows from it, as one sentence; "" on mains.
        model: The model in use; None before it is loaded.
        device: Where it runs, such as "CPU, 2 threads".
        remote: The server elsewhere that reads the text around the cursor; None where all stays on this machine.
        meter: How joules are had, such as "modelled: CPU seconds at 17.5 W a busy core".
        meter_notes: Why each better meter was refused, one sentence each.
    """

    health: Health
    quiescent: bool
    message: str
    remedy: Remedy
    silence: Silence
    power: str
    model: str | None
    device: str | None
    remote: str | None
    meter: str | None
    meter_notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOffered:
    """Why nothing came of asking by hand, as one sentence."""

    message: str


@dataclass(slots=True, kw_only=True)  # one is made after each request: frozen would take three times as long
class SessionEnergy:
    """What the session has cost since the server started or was reset.

    Attributes:
        session_id: Names the session in the ledger.
        started_at: ISO 8601, UTC.
        energy_j: Active energy of all requests, cancelled ones too.
        provenance: "measured", "sampled", "modelled", "mixed" or "none".
        source: The meter or model the figure came from.
        baseline_energy_j: What the requests whose energy is known would have cost at full depth with a KV cache, for as
            many tokens; always modelled.
        saved_j: What those of baseline_energy_j took less than that; always modelled.
        saved_low_j: From how many joules the truth about saved_j is likely to lie; None where that is not known.
        saved_high_j: To how many.
        wasted_j: Energy of requests whose text was never accepted.
        prefill_j: Active energy by phase; the split is always modelled. So decode_j, policy_j, verification_j.
        projects_j: What it took to read the workspace's files, beside all that; always modelled, from CPU time.
        requests: Requests that reached the engine.
        offered: Completions of which something was offered.
        accepted: Completions accepted in full, in part, or what was left of them.
        cancelled: Requests given up before their answer.
        reused: Requests answered for no energy, with what an earlier completion still said.
        skipped: Requests that never reached the engine: typing went on, or an answer was unlikely to be kept.
        offered_chars: Characters offered.
        accepted_chars: Characters accepted of them.
        tokens: Tokens decoded.
        mean_exit_layer: Mean layers per token over the session; None before the first token.
        layers_total: Layers of the model.
        last_mean_exit_layer: The same for the newest completion.
        last_energy_j: Energy of the newest completion.
        last_elapsed_s: Time of the newest completion.
        green_mode: The setting in force.
        today_j: What all sessions of this machine have cost since midnight; None where the ledger cannot say.
        today_sessions: How many these are: windows, and restarts of one.
    """

    session_id: str
    started_at: str
    energy_j: float | None
    provenance: str
    source: str | None
    baseline_energy_j: float | None
    saved_j: float | None
    saved_low_j: float | None
    saved_high_j: float | None
    wasted_j: float | None
    prefill_j: float | None
    decode_j: float | None
    policy_j: float | None
    verification_j: float | None
    projects_j: float | None
    requests: int
    offered: int
    accepted: int
    cancelled: int
    reused: int
    skipped: int
    offered_chars: int
    accepted_chars: int
    tokens: int
    mean_exit_layer: float | None
    layers_total: int | None
    last_mean_exit_layer: float | None
    last_energy_j: float | None
    last_elapsed_s: float | None
    green_mode: int
    today_j: float | None
    today_sessions: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozeParams:
    """Asks for quiet: nothing is offered for so many minutes, unless asked by hand; 0 ends it."""

    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryParams:
    """Asks for the ledger of the newest days.

    Attributes:
        by: What it is summed up by.
        days: How many days back.
        country: Whose electricity it was, by ISO 3166 code or English name; "" asks for no carbon.
    """

    by: Span
    days: int
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodEnergy:
    """One hour, day, session or language of the ledger; the joules are as in `SessionEnergy`.

    Attributes:
        key: The hour or day in local time, the session's id, or the language.
    """

    key: str
    energy_j: float | None
    provenance: str
    prefill_j: float | None
    decode_j: float | None
    policy_j: float | None
    verification_j: float | None
    wasted_j: float | None
    baseline_energy_j: float | None
    saved_j: float | None
    saved_low_j: float | None
    saved_high_j: float | None
    requests: int
    cancelled: int
    reused: int
    accepted: int
    offered_chars: int
    accepted_chars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectsEnergy:
    """What it took to read the workspaces' files in one hour, day or session; always modelled, from CPU time.

    Attributes:
        key: As of `PeriodEnergy`.
    """

    key: str
    energy_j: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryResult:
    """The ledger, oldest first.

    Attributes:
        total: All of it; None where there is nothing.
        carbon_g_per_kwh: Grams of CO2 equivalents of a kilowatt hour; None where no country was named.
        carbon_source: Whose figure that is.
        rest_s: How long a loaded model rested between requests, beside all that.
        rest_w: What all metered parts take then, as calibrated; None where nobody has measured it.
        rest_of_model_w: What of that they did not take before the model was loaded.
        projects_j: What it took to read the workspaces' files, beside all that; None where none were read.
        projects: The same by key; empty by language, for all of a folder's languages are read together.
    """

    periods: list[PeriodEnergy]
    total: PeriodEnergy | None
    carbon_g_per_kwh: float | None
    carbon_source: str | None
    rest_s: float
    rest_w: float | None
    rest_of_model_w: float | None
    projects_j: float | None
    projects: list[ProjectsEnergy]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A model that this machine may run.

    Attributes:
        name: What the setting calls it.
        is_advised: Whether it is the one to take; at most one is.
        download_bytes: What is fetched.
        running_bytes: Memory while it completes.
        token_ms: A token at full depth, predicted from the bytes that it reads.
        reads_both_sides: Whether it reads what stands behind the cursor.
        lacks_torch: Whether PyTorch has to be added before it can be prepared here.
        licence: What its maker says.
        why_not: Why it does not run well here; "" where it does.
    """

    name: str
    is_advised: bool
    download_bytes: int
    running_bytes: int
    token_ms: float
    reads_both_sides: bool
    lacks_torch: bool
    licence: str
    why_not: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsResult:
    """The known models, the smallest first."""

    models: list[ModelChoice]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentRequest:
    """What became of one request for a suggestion. No text and no name of a file is in it.

    Attributes:
        asked_at: ISO 8601, UTC.
        language: The document's language identifier; "" when unknown.
        by_hand: Whether a person asked for it by hand.
        outcome: Whether the engine worked for it, an earlier completion answered it, or neither.
        reason: Why nothing was offered, as one sentence; "" where something was.
        offered_chars: Characters offered.
        elapsed_s: Until it was answered; None before.
        energy_j: What it has cost; None where nothing was computed, or where that is unknown.
    """

    asked_at: str
    language: str
    by_hand: bool
    outcome: Outcome
    reason: str
    offered_chars: int
    elapsed_s: float | None
    energy_j: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentResult:
    """The newest requests, the oldest of them first; in English, for a report that may be passed on.

    Attributes:
        status: As it is told to the client, but for what would name a file or a folder of the person's.
        index: How much of the workspace has its say, as one sentence; "" before it was read.
    """

    requests: list[RecentRequest]
    status: Status
    index: str


REQUESTS: dict[str, type] = {HISTORY: HistoryParams, SNOOZE: SnoozeParams}
"""The parameters of each request that has some."""


def wire_name(field_name: str) -> str:
    """How a field of ours is called in JSON: "greenMode" for "green_mode"."""
    first, *rest = field_name.split("_")
    return first + "".join(map(str.capitalize, rest))
