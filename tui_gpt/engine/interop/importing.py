"""Models from elsewhere into the library: looked through first, then taken as they are, file by file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tui_gpt.core.config import ModelConfig
from tui_gpt.core.errors import ModelError
from tui_gpt.core.files import link_or_copy
from tui_gpt.core.given_files import read_given
from tui_gpt.core.model_folder import CARD_NAME, folder_problems, read_record
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.model_record import ADAPTER_FOLDER, ModelRecord, TokenizerRecord
from tui_gpt.core.names import check_name, name_from
from tui_gpt.core.sizes import parameters
from tui_gpt.engine.interop import hub, peft_folder
from tui_gpt.engine.interop.config_json import config_from_hf
from tui_gpt.engine.interop.huggingface import examine_weights, require_vocabulary
from tui_gpt.engine.interop.pickles import convert_pickles, has_pickles
from tui_gpt.engine.interop.weights import has_weights, read_json, weight_files
from tui_gpt.engine.text.tokenizer import Tokenizer
from tui_gpt.engine.text.tokenizer_files import load_tokenizer
from tui_gpt.engine.text.tokenizer_parts import MERGES_FILE, VOCABULARY_FILE, join_tokenizer
from tui_gpt.engine.text.tokenizer_writing import CONFIGURATION_FILE, TOKENIZER_FILE

BESIDE = (
    *("config.json", "generation_config.json", TOKENIZER_FILE, CONFIGURATION_FILE, VOCABULARY_FILE, MERGES_FILE),
    *("special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json"),
    *(CARD_NAME, "LICENSE", "LICENSE.md", "LICENSE.txt"),
)
"""What is taken beside the weights, where it is there. Code never is."""
_ADAPTER = (f"{ADAPTER_FOLDER}/{peft_folder.CONFIG}", f"{ADAPTER_FOLDER}/{peft_folder.WEIGHTS}")
_LARGEST_CARD = 1 << 20
_LONGEST_LICENCE = 60

Progress = Callable[[str, float], None]
"""What is being done, and how much of it is, from 0 to 1."""
Copy = Callable[[Path, Path], object]


def import_model(
    source: str, name: str | None = None, *, pickle: bool = False, progress: Progress | None = None
) -> ModelEntry:
    """Add the model of a folder, or of `hub:owner/name[@revision]`, to the library.

    Without a name it is called as its folder or repository is. Only with `pickle` are weights read that are a pickle,
    by a process of their own. Raises ModelError or ConfigError in one sentence, and then nothing was added.
    """
    report = progress or (lambda _what, _share: None)
    copy: Copy
    if source.startswith(hub.PREFIX):
        wanted = hub.parse_source(source)
        name = _free(name or name_from(wanted.repository.rpartition("/")[2], "model"))
        snapshot = hub.fetch(wanted, BESIDE, pickles=pickle, progress=report)
        parent = f"{hub.PREFIX}{wanted.repository}@{snapshot.commit}"
        folder, copy = snapshot.folder, _link
    else:
        folder = _folder(source)
        parent, copy = str(folder.resolve()), shutil.copyfile
        name = _free(name or name_from(folder.resolve().name, "model"))
    with _naming(source):
        report("looking through it", 0.0)
        found = _examine(folder, parent, pickle=pickle)
        report("adding it to the library", 0.0)
        return ModelHandler().save(name, lambda target: _fill(target, found, copy), found.record)


def _folder(text: str) -> Path:
    """Raises ModelError."""
    folder = Path(text)
    # RuntimeError: nobody of that name has a home. OSError: no file can have such a name.
    with suppress(RuntimeError, OSError):
        # The shell has resolved a ~ already; here it is of a text that was typed into the app.
        folder = folder.expanduser()
        if folder.is_dir():
            return folder
    raise ModelError(f"{text!r} is no folder; name the folder of a model, or a repository of the Hub as hub:owner/name")


def _free(name: str) -> str:
    """The name. Raises ModelError or ConfigError, before anything is fetched, where it cannot be given."""
    ModelHandler().library.refuse_taken(check_name(name, "model name"))
    return name


def _link(source: Path, target: Path) -> None:
    # The Hub's cache consists of links to files that nobody changes.
    link_or_copy(source.resolve(), target)


@contextmanager
def _naming(source: str) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{source} cannot be imported: {error}") from None


@dataclass(frozen=True)
class _Found:
    """A model that can be imported."""

    folder: Path
    model: ModelConfig
    record: ModelRecord
    own: bool
    """Whether tui-gpt made it."""


def _examine(folder: Path, parent: str, *, pickle: bool) -> _Found:
    """Raises ModelError where the folder holds no model that can be opened here."""
    record = read_record(folder)
    if record is not None:  # made by tui-gpt, here or elsewhere
        for problem in folder_problems(folder, record):
            raise ModelError(problem)
    model = config_from_hf(read_json(folder / "config.json"))
    tokenizer = _tokenizer(folder)
    require_vocabulary(model, tokenizer)
    if not has_weights(folder) and has_pickles(folder):
        if not pickle:
            raise ModelError(
                "its weights are a pickle, which can run any code when opened; look for the model as safetensors, or, "
                "if you trust its makers, add --pickle"
            )
    else:
        examine_weights(folder, model)
    own = record is not None
    if record is None:
        record = ModelRecord(
            name="",
            family=model.family,
            n_parameters=parameters(model).total,
            tokenizer=TokenizerRecord(kind=tokenizer.kind, vocab_size=tokenizer.vocab_size),
            parent=parent,
            license=_licence(folder),
        )
    return _Found(folder, model, msgspec.structs.replace(record, files={}), own)


def _tokenizer(folder: Path) -> Tokenizer:
    if (folder / TOKENIZER_FILE).exists():
        return load_tokenizer(folder)
    with tempfile.TemporaryDirectory() as joined:
        join_tokenizer(folder, Path(joined))
        return load_tokenizer(Path(joined))


def _licence(folder: Path) -> str | None:
    """What the model's card says, by the Hub's identifiers."""
    from huggingface_hub import ModelCard

    try:
        text = read_given(folder / CARD_NAME, _LARGEST_CARD).decode("utf-8")
        licence = getattr(ModelCard(text, ignore_metadata_errors=True).data, "license", None)
    except Exception:  # a card that cannot be read says nothing; the parser of its metadata has errors of its own
        return None
    return licence if isinstance(licence, str) and licence.isprintable() and len(licence) <= _LONGEST_LICENCE else None


def _fill(target: Path, found: _Found, copy: Copy) -> None:
    """Everything of the model into an empty folder. Raises ModelError, OSError."""
    for name in (*BESIDE, *(_ADAPTER if found.own else ())):
        if (found.folder / name).is_file():
            (target / name).parent.mkdir(exist_ok=True)
            copy(found.folder / name, target / name)
    if not (target / TOKENIZER_FILE).exists():
        join_tokenizer(target, target)
    if has_weights(found.folder):
        for path in weight_files(found.folder):
            copy(path, target / path.name)
    else:
        convert_pickles(found.folder, target)
        examine_weights(target, found.model)
