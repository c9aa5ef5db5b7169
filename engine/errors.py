"""What can go wrong, in the user's words.

Every error that a user may meet is an `EngineError`; its message is one clear sentence that says what happened
and what to do. Borders (command line, server) print the sentence and never the stack.

    EngineError
    ├── ConfigError            a setting or argument has a value that means nothing
    ├── ModelError             the weights cannot be had or used
    │   ├── ModelNotFoundError     neither in the cache nor where it was asked for
    │   ├── ModelDownloadError     the network or the disk failed while it was fetched
    │   ├── ModelCorruptError      its hash or content is wrong
    │   └── UnsupportedModelError  its family has no adapter
    ├── TorchMissingError      what was asked for needs PyTorch, which is not installed
    ├── PolicyError            a policy cannot be loaded or does not fit its model
    ├── DeviceError            the device asked for is not there, or is out of memory
    ├── SharingError           the engine cannot be shared with other windows here
    ├── EngineLostError        the engine must be loaded anew: its process or its files are gone
    ├── OutdatedError          Green Code was installed anew beneath this process
    ├── NeverBegunError        a request was taken back before its turn came
    ├── MeterError             an energy counter is missing or may not be read
    │   └── CounterResetError      it began anew between two readings
    ├── RemoteError            a completion server elsewhere cannot be used
    │   ├── RemoteAwayError        just now
    │   └── RemoteRefusedError     for this question
    └── TrainingError          training text or a training run cannot be had or used
"""


def in_short(error: Exception) -> str:
    """What an error is that nobody foresaw, for a sentence that names it: its kind, and its first line, if any."""
    first_line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first_line[:120]}" if first_line else type(error).__name__


class EngineError(Exception):
    """Base of every error that is told to the user as it stands.

    Args:
        sentence: What happened and what to do; an `engine.sentences.Sentence` where other languages have it.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class ConfigError(EngineError):
    """A setting or argument has a value that means nothing."""


class ModelError(EngineError):
    """The weights cannot be had or used."""


class ModelNotFoundError(ModelError):
    """The model is neither in the cache nor where it was asked for."""


class ModelDownloadError(ModelError):
    """The network or the disk failed while the model was fetched."""


class ModelCorruptError(ModelError):
    """The file's hash or content is wrong."""


class UnsupportedModelError(ModelError):
    """The model's family has no adapter here."""


class TorchMissingError(EngineError):
    """What was asked for needs PyTorch and transformers, which are not installed here."""


class PolicyError(EngineError):
    """The exit policy cannot be loaded or does not fit its model."""


class DeviceError(EngineError):
    """The device asked for is not there, or ran out of memory."""


class SharingError(EngineError):
    """The engine cannot be shared with other windows here."""


class EngineLostError(EngineError):
    """The engine can answer no more and must be loaded anew: its process has ended, or its files were changed."""


class OutdatedError(EngineError):
    """Green Code was installed anew: what this process has in memory does not fit the files any more."""


class NeverBegunError(EngineError):
    """A request was taken back before its turn came; it has cost nothing."""


class MeterError(EngineError):
    """An energy counter is missing or may not be read."""


class CounterResetError(MeterError):
    """An energy counter began anew between two readings; what was used in between is not known."""


class RemoteError(EngineError):
    """A completion server elsewhere cannot be used."""


class RemoteAwayError(RemoteError):
    """It cannot be reached, or not answer, just now; that may pass."""


class RemoteRefusedError(RemoteError):
    """It does not take this question, such as one that is longer than its model reads."""


class TrainingError(EngineError):
    """Training text or a training run cannot be had or used."""
