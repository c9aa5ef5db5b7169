"""Records and protocols that cross module borders; standard library only, no torch.

Units are in the names: joules `_j`, seconds `_s`. Unknown is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from engine.outlook import Outlook

GREEN_MODE_MAX = 100
DEFAULT_GREEN_MODE = 20  # loses little kept text: engine/LOG.md, "A policy that knows the project"

PROJECT_ALONE = "project"
"""The policy by which what a project is sure of is said, and the model is never run."""


class Provenance(str, Enum):
    """How a figure in joules was had."""

    MEASURED = "measured"  # difference of a hardware energy counter
    SAMPLED = "sampled"  # power polled and integrated
    MODELLED = "modelled"  # work x joules per unit of work
    MIXED = "mixed"  # a sum of different kinds
    NONE = "none"  # not known


class Phase(str, Enum):
    """The phases whose energy is kept apart."""

    PREFILL = "prefill"
    DECODE = "decode"
    POLICY = "policy"
    VERIFICATION = "verification"


class FinishReason(str, Enum):
    """Why a completion ended."""

    STOP = "stop"  # the model's end of text, or a stop condition of the completion
    POLICY = "policy"  # the exit policy chose STOP
    LENGTH = "length"  # max_new_tokens
    DOUBT = "doubt"  # the word that was begun could be too many others
    UNLIKELY = "unlikely"  # the text goes on in too many ways; its last token is the first too many
    REPETITION = "repetition"  # the text said the same again and again
    CANCELLED = "cancelled"  # the caller asked for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What was computed, in the units of the cost model.

    A *pass* reads the weights of a layer (or of the LM head) once, however many positions it serves; a *token*
    is one position served. At batch 1 the passes set the cost of decoding, the further positions of a batch cost
    about what they cost in prefill. A head over a shortlist of tokens counts as its share of the whole head. The
    *context* of a position is all positions that attention reads for it, its own included: a pass reads that of its
    last position once. What a sliding window would hide is counted all the same.
    """

    prefill_tokens: int = 0  # prompt positions computed; each chunk of them is n_layers passes as well
    tokens: int = 0  # positions that went through the embedding in decoding
    layer_passes: int = 0
    layer_tokens: int = 0
    head_passes: float = 0.0
    head_tokens: float = 0.0
    propagated_layers: int = 0  # K/V projections of a skipped layer
    policy_checks: int = 0
    context_passes: int = 0  # positions of the KV cache, summed over layer passes
    context_tokens: int = 0  # the same, summed over the positions served

    def __add__(self, other: Work) -> Work:
        """Adds two amounts field by field."""
        return Work(
            prefill_tokens=self.prefill_tokens + other.prefill_tokens,
            tokens=self.tokens + other.tokens,
            layer_passes=self.layer_passes + other.layer_passes,
            layer_tokens=self.layer_tokens + other.layer_tokens,
            head_passes=self.head_passes + other.head_passes,
            head_tokens=self.head_tokens + other.head_tokens,
            propagated_layers=self.propagated_layers + other.propagated_layers,
            policy_checks=self.policy_checks + other.policy_checks,
            context_passes=self.context_passes + other.context_passes,
            context_tokens=self.context_tokens + other.context_tokens,
        )


Runtime = Literal["torch", "onnx", "native", "native-amx", "native-avxvnni", "native-avx2"]
"""What computes a model's layers: PyTorch, ONNX Runtime, or kernels of our own, by the instructions of the CPU."""

PreparedRuntime = Literal["onnx", "native"]
"""What a model can be prepared for; one for "native" kernels runs with AVX-512 and without."""

Precision = Literal["fp32", "bf16", "int8", "int4"]
"""How a model's weights are held: bf16 on GPUs only, int8 and int4 on CPUs only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelGeometry:
    """The sizes of a model that its cost depends on; filled by `engine.model`, read by `engine.energy`.

    Attributes:
        n_layers: Transformer layers.
        layer_params: Parameters of one layer (the mean, where layers differ).
        kv_params: Parameters of one layer's K and V projections, the cost of propagation.
        head_params: Parameters read by the LM head: vocabulary x width, tied or not.
        bytes_per_param: Bytes of one stored weight, such as 4.0 for fp32.
        context_bytes: Bytes of the keys and values of one position in one layer, as the runner's cache holds them.
        context_flops: What one position attended takes of a layer: two multiplications and additions a channel.
    """

    n_layers: int
    layer_params: int
    kv_params: int
    head_params: int
    bytes_per_param: float
    context_bytes: float = 0.0
    context_flops: float = 0.0

    def with_cache(self, *, key_width: int, query_width: int, bytes_per_value: float) -> ModelGeometry:
        """The same with a runner's KV cache, which is not of the weights.

        Args:
            key_width: Channels of the keys of one layer, and of its values: all heads together.
            query_width: Channels of its queries.
            bytes_per_value: Bytes of one number in the cache.
        """
        return replace(self, context_bytes=2 * key_width * bytes_per_value, context_flops=4.0 * query_width)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyReading:
    """Joules of one window, or of a sum of windows.

    Attributes:
        energy_j: Total in joules; None where nothing could be said.
        provenance: How `energy_j` was had.
        source: The meter or model it came from, for people, such as "NVML counter, GPU 0".
        elapsed_s: Length of the window in seconds.
        by_phase: `energy_j` split by phase, always modelled: a token's are far shorter than a counter's refresh period.
        range_j: Between which joules the truth likely lies, where some were modelled or are other programs'; else None.
    """

    energy_j: float | None
    provenance: Provenance
    source: str
    elapsed_s: float
    by_phase: Mapping[Phase, float] = field(default_factory=dict)
    range_j: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    r"""A piece of another file that may help; `path` as the model is shown it, `text` with "\n" line ends."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """What the model is given to read, in characters (about three to a token); 0 leaves a part out.

    Attributes:
        window_chars: Characters of the document before the cursor.
        suffix_chars: Characters of the document behind it, where the model can fill in the middle.
        snippet_chars: Characters of other files.
        import_chars: Characters of the file's imports, where they stand above the window.
        with_header: Whether the prompt begins with the file's path, or its language where it has none.
    """

    window_chars: int = 1536  # about 512 tokens of code, 0.9 s of prefill on two CPU cores
    suffix_chars: int = 512
    snippet_chars: int = 0
    import_chars: int = 0
    with_header: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDocument:
    """A document in its project.

    Attributes:
        project: The project whose text counts; the engine holds it under this name.
        file: What this document is called there; what the project holds under that name does not count.
    """

    project: str
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    r"""One place in one document where text is wanted.

    Attributes:
        prefix: Document text before the cursor, with "\n" line ends.
        suffix: Document text after the cursor, with the same line ends.
        path: The file's path as the model may be shown it, such as "src/app.py"; "" when unknown.
        repository: The name of what the file lies in, such as the workspace folder's; "" when unknown.
        snippets: Pieces of other files, the most useful first.
        prompt: How much of all this the model is given.
        language_id: The editor's language identifier, such as "python"; "" when unknown.
        green_mode: The slider's position, 0 (lossless) to 100 (greenest); see `engine.policy.operating_point`.
        policy: A policy by its name on the command line ("full-depth", "learned", "project"); None for the slider's.
        max_new_tokens: Upper bound on tokens decoded.
        single_line: True for one line, False for a block, None to decide from the text around the cursor.
        may_give_up: Whether a text whose first word is unlikely is given up, and "" offered, where no word has been
            begun; inside words it is in any case.
        in_project: The document in a project that has its say beside the model; None for the model alone.
    """

    prefix: str
    suffix: str = ""
    language_id: str = ""
    path: str = ""
    repository: str = ""
    snippets: tuple[Snippet, ...] = ()
    prompt: PromptOptions = PromptOptions()
    green_mode: int = DEFAULT_GREEN_MODE
    policy: str | None = None
    max_new_tokens: int = 48
    single_line: bool | None = None
    may_give_up: bool = True
    in_project: ProjectDocument | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionToken:
    """One final token of a completion: its text, and the number of layers that ran to choose it.

    No layer ran where the project was sure of it, or where a former request had computed it; None is not known.
    """

    text: str
    exit_layer: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The answer to one request, with what it cost.

    Attributes:
        text: What to insert at the cursor; "" when there is nothing worth showing.
        tokens: The decoded tokens, before clean-up cut them to `text`.
        finish_reason: Why decoding ended.
        energy: Joules of this request.
        baseline_energy_j: What as many tokens would have cost at full depth with a KV cache, modelled; None without a
            model.
        saved_range_j: Between which joules the truth about `saved_j` is likely to lie; None where that is.
        work: What was computed, by phase.
        prompt_tokens: Length of the prompt in tokens; None where a server did not say.
        reused_tokens: How many of them were still in the KV cache of an earlier request; None likewise.
        elapsed_s: From the request to the last token.
        first_token_s: From the request to the first final token; None when there was none.
        layers_total: Layers of the model; None where they are not known.
        outlook: What the project says, where it alone was asked and is not sure.
    """

    text: str
    tokens: tuple[CompletionToken, ...]
    finish_reason: FinishReason
    energy: EnergyReading
    baseline_energy_j: float | None
    saved_range_j: tuple[float, float] | None
    work: Mapping[Phase, Work]
    prompt_tokens: int | None
    reused_tokens: int | None
    elapsed_s: float
    first_token_s: float | None
    layers_total: int | None
    model: str
    device: str
    policy: str
    green_mode: int
    outlook: Outlook | None = None

    @property
    def mean_exit_layer(self) -> float | None:
        """Mean number of layers per token; None without tokens whose layers are known."""
        layers = [token.exit_layer for token in self.tokens if token.exit_layer is not None]
        return sum(layers) / len(layers) if layers else None

    @property
    def saved_j(self) -> float | None:
        """Joules saved against the baseline, always modelled; negative when more was spent."""
        if self.baseline_energy_j is None or self.energy.energy_j is None:
            return None
        return self.baseline_energy_j - self.energy.energy_j


class CancellationToken(Protocol):
    """Asked at every exit candidate and between prefill segments; may be set from another thread."""

    @property
    def is_cancelled(self) -> bool:
        """True once the answer is no longer wanted."""
        ...


class Cancellation(CancellationToken, Protocol):
    """A token that can wake who waits for an answer from elsewhere."""

    def when_cancelled(self, call: Callable[[], None]) -> None:
        """Calls once, on any thread: when it is cancelled, or at once where it is already."""
        ...


class NeverCancelled:
    """The token of a caller who always waits for the answer."""

    is_cancelled = False


class Meanwhile(Protocol):
    """Asked while a long prompt is read for other work, which is done there and then."""

    def __call__(self) -> Callable[[], object] | None:
        """The work; None for none."""
        ...


def nothing_meanwhile() -> None:
    """The prompt is read in one go."""


class ProgressSink(Protocol):
    """Receives what a long operation (download, conversion, loading) is doing, for a bar or a status line."""

    def __call__(self, message: str, done: int, total: int | None) -> None:
        """Called with a short sentence, units done, and units in all (None while unknown)."""
        ...


def no_progress(message: str, done: int, total: int | None) -> None:
    """The sink of a caller who shows nothing."""


def combine_provenance(provenances: Iterable[Provenance]) -> Provenance:
    """Names the provenance of a sum: the common one, `MIXED` where they differ, `NONE` for an empty sum."""
    kinds = set(provenances)
    if not kinds:
        return Provenance.NONE
    return kinds.pop() if len(kinds) == 1 else Provenance.MIXED
