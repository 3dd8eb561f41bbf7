"""What the screen and its session say to each other: one JSON object per line, strictly checked on both sides.

The screen sends requests on the session's stdin, the session answers on its stdout. Every reply carries the id of its
request. A request gets any number of events (Progress, Generating, Wrote, TokenRows) and then exactly one ending: its
answer, Failed or Cancelled. Only Cancel gets none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from tui_gpt.core.config import DataConfig, RunConfig, SampleConfig, WritingPrecision
from tui_gpt.core.corpus_shares import PartFacts
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.repeats import Repeats

_SHOWN = 200


class MessageError(TuiGptError):
    """A line that is no message."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what messages are made of."""


class Message(Part, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Base of all messages: `type` says which one it is."""

    id: Annotated[int, Meta(ge=0)] = 0
    """Of the request; who sends requests numbers them from 1."""


class ModelRef(Part, frozen=True, kw_only=True):
    """A model by where it lies. Hashable."""

    kind: Literal["model", "run", "folder"]
    """`model`: of the library, or an example."""
    name: str
    """The name of the model or run; the path of the folder."""
    checkpoint: str | None = None
    """Of a run: `best`, `last`, or the number of a step. None: the newest intact one while its trainer is alive, else
    the best."""


class Utterance(Part, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


# ---- requests


class Explore(Message, frozen=True, kw_only=True):
    """Tell what is in a corpus, answered by Explored. Prepares it on the way, so that training starts at once."""

    data: DataConfig
    text: str = ""
    """What to show as tokens; empty: the first line of the corpus' sample."""
    fetch: bool = False
    """Whether what is not on this machine may be fetched."""


class ListTokens(Message, frozen=True, kw_only=True):
    """Tell every token of a corpus and how often it occurs: TokenRows, answered by TokensListed."""

    data: DataConfig


class Begin(Message, frozen=True, kw_only=True):
    """Make the folder of a new run, answered by Begun."""

    config: RunConfig
    name: str | None = None
    """None: one made from the corpus'."""
    origin: str | None = None
    """The model to continue from; None: from random weights."""


class Fork(Message, frozen=True, kw_only=True):
    """Make a new run that goes on from a checkpoint of another, answered by Begun."""

    run: str
    name: str | None = None
    checkpoint: str | None = None
    changes: dict[str, Any] = {}
    """Fields of the section `train` with their new values."""


class Calibrate(Message, frozen=True, kw_only=True):
    """Measure how fast this machine would train a configuration, answered by Calibrated."""

    config: RunConfig
    seconds: Annotated[float, Meta(gt=0, le=600)] = 5.0


class Load(Message, frozen=True, kw_only=True):
    """Read a model into memory, answered by Loaded."""

    model: ModelRef


class Generate(Message, frozen=True, kw_only=True):
    """Continue a prompt, or answer in a conversation: Generating, then Wrote as it grows, answered by Generated."""

    model: ModelRef
    prompt: str
    settings: SampleConfig = SampleConfig()
    messages: list[Utterance] = []
    """What was said so far: a model that has learned from conversations answers these, another continues `prompt`."""
    precision: WritingPrecision = "float32"
    """Of the weights while the text is written."""


class Publish(Message, frozen=True, kw_only=True):
    """Put the best checkpoint of an ended run into the library, answered by Published."""

    run: str
    name: str


class Import(Message, frozen=True, kw_only=True):
    """Add a model from elsewhere to the library, answered by Published."""

    source: str
    """A folder, or `hub:owner/name` with `@revision` where one is pinned."""
    name: str | None = None
    """None: as the folder or the repository is called."""
    pickle: bool = False
    """Whether weights may be read that are a pickle."""


class Export(Message, frozen=True, kw_only=True):
    """Write a model of the library as a GGUF file, answered by Exported."""

    model: str
    path: str
    kind: Literal["f32", "f16", "q8_0"] = "f16"


class Cancel(Message, frozen=True, kw_only=True):
    """End the request `target`, queued or running, with Cancelled; too late, it does nothing. Has no reply itself."""

    target: int


Request: TypeAlias = (
    Explore | ListTokens | Begin | Fork | Calibrate | Load | Generate | Publish | Import | Export | Cancel
)


# ---- replies


class TokenText(Part, frozen=True, kw_only=True):
    """A token and what it stands for; bytes that are only a part of a character as `\\xe2`."""

    id: int
    text: str


class WrittenPiece(Part, frozen=True, kw_only=True):
    """What one token adds to one sample."""

    sample: int
    text: str
    """Empty while the rest of a character, or of a possible stop text, is awaited."""
    token_id: int | None = None
    """None for what was held back and belongs to no new token."""
    logprob: float | None = None
    """Natural logarithm of the model's own probability of the token, before temperature and the like."""


class Ready(Message, frozen=True, kw_only=True):
    """The first line of a session; its id is 0."""

    pid: int
    python: str


class Progress(Message, frozen=True, kw_only=True):
    """How far a request has come; one that waits for its turn hears it of the request before it."""

    what: str
    """The step it is at, e.g. `encoding`."""
    share: float
    """Of this step, 0 to 1."""


class Generating(Message, frozen=True, kw_only=True):
    """The model is there and begins to write."""

    seed: int
    """Draws the same samples again."""
    prompt_tokens: int
    title: str
    """Of the model, e.g. `bard` or `run bard, step 120`."""
    step: int | None = None
    """Steps the model was trained for, if known."""
    answers: bool = False
    """Whether it answers messages, and does not continue the prompt."""
    dropped: int = 0
    """Of messages, how many of the oldest do not fit into the context and were left out."""


class Wrote(Message, frozen=True, kw_only=True):
    """Pieces in the order in which they were written."""

    pieces: list[WrittenPiece]


class TokenRows(Message, frozen=True, kw_only=True):
    """Some tokens of a vocabulary, in the order of their ids."""

    first: int
    """The id of the first one; the others follow without a gap."""
    texts: list[str]
    """As `core.token_text.token_text` gives them."""
    lengths: list[int]
    """In bytes."""
    counts: list[int]
    """Occurrences in the training part."""


class Explored(Message, frozen=True, kw_only=True):
    """What is in a corpus."""

    source: str
    sha256: str
    characters: int
    distinct_characters: int
    documents: int
    bytes: int
    """Of its text in UTF-8."""
    tokenizer: str
    vocab_size: int
    tokens: int
    train_tokens: int
    validation_tokens: int
    bytes_per_token: float
    sample: str
    """How the text begins."""
    line: str
    """What `line_tokens` are made of."""
    line_tokens: list[TokenText]
    line_problem: str = ""
    """Why there are no tokens of the line: a character that the tokenizer does not know, say."""
    skipped: list[str] = []
    """Files of a folder that are left out, a sentence each."""
    formats: list[str] = []
    """What the files are: `text`, `JSON Lines, gzip`."""
    columns: list[str] = []
    """Of tables, those that are read; a row is a document."""
    empty_rows: int = 0
    """Rows of tables that are left out because they have no text."""
    shortest_document: int = 0
    """In characters; 0 where nobody counted."""
    longest_document: int = 0
    answers: int = 0
    """Of conversations, how many answers there are; 0 for texts."""
    answer_tokens: int = 0
    """Tokens of answers, which are what is learned of conversations."""
    own_validation: str = ""
    """The file or split to validate on, of a corpus that has its own: then data.validation_fraction does not apply."""
    changes: list[str] = []
    """What was cleaned up or left out, a sentence each."""
    repeats: Repeats | None = None
    """None where nobody counted."""
    parts: list[PartFacts] = []
    """Of a mix, its corpora, the main one first."""

    @property
    def epoch_tokens(self) -> int:
        """The training tokens; of a mix, those that are read until the main corpus was read once."""
        return round(self.parts[0].train_tokens / self.parts[0].share) if self.parts else self.train_tokens


class TokensListed(Message, frozen=True, kw_only=True):
    """All tokens were told."""

    source: str
    tokenizer: str
    vocab_size: int
    train_tokens: int
    end_of_text: int | None
    """The id of what stands between documents, where there is such a token."""


class Begun(Message, frozen=True, kw_only=True):
    """A run is on disk and waits for its trainer."""

    run: str


class Published(Message, frozen=True, kw_only=True):
    """A model is in the library."""

    model: str


class Exported(Message, frozen=True, kw_only=True):
    """A file is written."""

    path: str
    size_bytes: int


class Calibrated(Message, frozen=True, kw_only=True):
    """How fast this machine trains a configuration."""

    tokens_per_second: float
    step_seconds: float
    """The median of the steps that count."""
    steps: int
    """How many those were."""
    seconds: float
    """What the whole calibration took."""
    memory_bytes: int
    """Growth of the process, or the device's peak beyond what was taken before."""
    device: str
    device_name: str
    precision: str
    threads: int
    reasons: list[str] = []
    """Why it computes this way, and what was not measured; a sentence each."""


class Loaded(Message, frozen=True, kw_only=True):
    """A model is in memory."""

    title: str
    n_parameters: int
    n_positions: int
    vocab_size: int
    step: int | None = None
    val_loss: float | None = None
    """In nats per token, as last measured before the weights were saved."""
    sample: SampleConfig = SampleConfig()
    """How its run said that it is to be sampled."""
    seconds: float = 0.0
    """What reading it took; next to nothing for a model that was in memory."""
    speaks_turns: bool = False
    """Whether it has learned from conversations, and answers messages."""


class Generated(Message, frozen=True, kw_only=True):
    """All samples are written."""

    tokens: int
    """Of all samples."""
    seconds: float
    """From the request being taken up to the last token."""
    first_token_seconds: float
    """From the request being taken up to the first token, with loading the model where that was necessary."""
    reasons: list[str]
    """Why each sample ends: `eot`, `stop` or `length`."""


class Failed(Message, frozen=True, kw_only=True):
    """The request cannot be fulfilled."""

    message: str
    """A sentence for people."""


class Cancelled(Message, frozen=True, kw_only=True):
    """The request was ended by Cancel."""


Event: TypeAlias = Progress | Generating | Wrote | TokenRows
Answer: TypeAlias = Explored | TokensListed | Begun | Calibrated | Loaded | Generated | Published | Exported
Ending: TypeAlias = Answer | Failed | Cancelled
Reply: TypeAlias = Ready | Event | Ending


# ---- lines

_M = TypeVar("_M")
_REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_REPLIES: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


class _Numbered(msgspec.Struct):
    id: Annotated[int, Meta(ge=1)]


def encode(message: Request | Reply) -> bytes:
    """The message as one line with its line feed. Lone surrogates, which are no Unicode, are written as `\\udc80`."""
    try:
        return msgspec.json.encode(message) + b"\n"
    except UnicodeEncodeError:
        return msgspec.json.encode(_escaped(msgspec.to_builtins(message))) + b"\n"


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value


def decode_request(line: bytes) -> Request:
    """The request on a line. Raises MessageError."""
    return _decode(_REQUESTS.decode, line, "request")


def decode_reply(line: bytes) -> Reply:
    """The reply on a line. Raises MessageError."""
    return _decode(_REPLIES.decode, line, "reply")


def _decode(decode: Callable[[bytes], _M], line: bytes, what: str) -> _M:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        shown = line[:_SHOWN].decode("utf-8", "replace").strip()
        raise MessageError(
            f"a line is no {what} that this version of tui-gpt knows ({error}): {shown}; if tui-gpt was updated "
            "while it ran, start it again"
        ) from None


def request_id(line: bytes) -> int | None:
    """The id on a line that may be no message; None where there is none."""
    try:
        return msgspec.json.decode(line, type=_Numbered).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
