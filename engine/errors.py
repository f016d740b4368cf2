"""Every error daogou raises on purpose, drawn as one tree.

DaogouError
├── SettingsError        a setting has a value that cannot be used
├── MissingExtraError    an optional package is needed and is not installed
├── FeedError            a product feed cannot be read, or breaks off
├── LexiconError         a table of terms cannot be read
├── GateError            a finished snapshot was refused, so nothing was published
├── LockedError          another writer holds the store
├── SnapshotError        a snapshot is missing, incomplete, corrupt or of another format
├── RemoteError          the storage of published snapshots does not answer, or is damaged
├── VectorEngineError    the engine that holds the vectors does not answer
├── EncoderError         a model cannot be loaded, exported or trusted
├── GeneratorError       a text generator failed; callers fall back, shoppers never see it
├── EvaluationError      judgements, runs or query files cannot be used
├── EventLogError        the log of events cannot be opened or written
├── TrainingError        examples or settings a model cannot be trained with, or a model that may not be published
└── RequestError         a caller asked for something that makes no sense
    ├── FilterError      a ``filter_by`` or ``sort_by`` expression; knows the position of the mistake
    └── NotFoundError    no product, snapshot or route of that name

A message is one or more whole sentences: what was wrong, with its value and place, and what to do.
``exit_code`` is what the command line exits with; ``status`` is the HTTP status.
"""

__all__ = [
    "DaogouError",
    "EncoderError",
    "EvaluationError",
    "EventLogError",
    "FeedError",
    "FilterError",
    "GateError",
    "GeneratorError",
    "LexiconError",
    "LockedError",
    "MissingExtraError",
    "NotFoundError",
    "RemoteError",
    "RequestError",
    "SettingsError",
    "SnapshotError",
    "TrainingError",
    "UnfinishedErasureError",
    "VectorEngineError",
]


class DaogouError(Exception):
    """The root: catch this to catch everything daogou raises on purpose."""

    exit_code = 1
    status = 500
    title = "Internal error"


class SettingsError(DaogouError):
    """A setting has a value that cannot be used."""

    exit_code = 2
    title = "Unusable setting"


class MissingExtraError(DaogouError):
    """An optional package is needed. The message names the extra and the command that installs it."""

    exit_code = 2
    title = "Missing optional package"


class FeedError(DaogouError):
    """A product feed cannot be read, or breaks off before its end."""

    exit_code = 3
    title = "Unreadable feed"


class LexiconError(DaogouError):
    """A table of terms in two languages cannot be read."""

    exit_code = 3
    title = "Unreadable lexicon"


class GateError(DaogouError):
    """A finished snapshot failed a check, so the previous one keeps serving."""

    exit_code = 4
    title = "Snapshot refused"


class LockedError(DaogouError):
    """Another process is writing to this store."""

    exit_code = 5
    title = "Store is locked"


class SnapshotError(DaogouError):
    """A snapshot is missing, incomplete, corrupt, or of a format this version does not read."""

    exit_code = 6
    status = 503
    title = "Snapshot unavailable"


class RemoteError(DaogouError):
    """The storage where snapshots are published does not answer, or what lies there is damaged."""

    exit_code = 12
    status = 503
    title = "Snapshot storage unavailable"


class VectorEngineError(DaogouError):
    """The engine elsewhere that holds the vectors does not answer, or did not do what was asked."""

    exit_code = 11
    status = 503
    title = "Vector engine unavailable"


class EncoderError(DaogouError):
    """A model cannot be loaded, exported, or differs from the one the vectors were made with."""

    exit_code = 7
    status = 503
    title = "Encoder unavailable"


class GeneratorError(DaogouError):
    """A text generator failed. Internal: the explanation falls back to the template."""

    status = 502
    title = "Generator failed"


class EvaluationError(DaogouError):
    """Judgements, runs or query files cannot be used as they are."""

    exit_code = 8
    title = "Evaluation input"


class EventLogError(DaogouError):
    """The log of events cannot be opened or written."""

    exit_code = 10
    status = 503
    title = "Event log unavailable"


class UnfinishedErasureError(EventLogError):
    """An erasure is written down and begun, but a file could not be cleaned."""


class TrainingError(DaogouError):
    """Examples or settings a model cannot be trained with, or a trained model that may not be published."""

    exit_code = 9
    title = "Training"


class RequestError(DaogouError):
    """A request that makes no sense."""

    exit_code = 2
    status = 400
    title = "Bad request"


class FilterError(RequestError):
    """A mistake in ``filter_by`` or ``sort_by``; ``position`` is its 0-based character offset."""

    title = "Bad filter"

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class NotFoundError(RequestError):
    """Nothing has that name."""

    exit_code = 6
    status = 404
    title = "Not found"
