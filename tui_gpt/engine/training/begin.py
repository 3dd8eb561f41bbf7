"""From a configuration to a run on disk, ready for its trainer: nothing is allocated or written before all fits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import psutil

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import with_vocabulary
from tui_gpt.core.corpora import corpus_path, is_named, with_own_choices
from tui_gpt.core.corpus_formats import bare_name
from tui_gpt.core.corpus_shares import corpus_shares
from tui_gpt.core.errors import ConfigError, CorpusError, RunError, TuiGptError
from tui_gpt.core.fetched import pinned
from tui_gpt.core.files import sha256_file
from tui_gpt.core.hub_corpus import is_hub_corpus, parse_hub_corpus
from tui_gpt.core.names import check_name, name_from
from tui_gpt.core.runs.records import DataRecord, RunRecord, utc_now
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.core.sizes import require_memory, training_memory
from tui_gpt.core.standard_input import STANDARD_INPUT, is_kept
from tui_gpt.engine.text.dialogues.chat_format import with_chat
from tui_gpt.engine.text.dialogues.prepared_dialogues import PreparedDialogues
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.prepared import PreparedCorpus
from tui_gpt.engine.text.streaming.corpus import StreamedCorpus
from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE
from tui_gpt.engine.training.origins import Origin, read_origin, write_grown_start, write_start

Progress = Callable[[str, float], None]


def begin_run(
    config: RunConfig,
    name: str | None = None,
    *,
    processes: int = 1,
    notes: str = "",
    progress: Progress | None = None,
    origin: str | None = None,
) -> Run:
    """Prepare the corpus, check that everything fits, and make the run's folder.

    Without a name one is made from the corpus'. `origin` names a model of the library, or an example, to train on: its
    weights, its tokenizer and its shape are taken, and of `config.model` only the dropout. Raises ConfigError,
    CorpusError, MemoryLimitError, ModelError or RunError.
    """
    store = RunStore()
    if name is not None:
        check_name(name, "run name")
        free = store.unique_name(name)
        if free != name:
            # Asked before the work of preparing; creating asks again.
            raise RunError(f"there is a run named {name} already; choose another name, e.g. {free}, or delete that run")
    require_ranks(config, processes)
    source = None if origin is None else read_origin(origin)
    corpus = prepare(
        config.data,
        tokenizer=source.tokenizer if source else None,
        progress=progress,
        # How long a run by epochs is, only the whole text can tell.
        whole=config.train.max_epochs is not None,
    )
    _require_vocabulary(corpus)
    shaped = _with_shape_of(source, config, corpus) if source else with_vocabulary(config, corpus.tokenizer.vocab_size)
    resolved = _resolve(shaped, corpus)
    _require_sample_prompt(resolved, corpus)
    corpus.require_length(resolved.model.n_positions, can_shorten=source is None)
    _require_adaptable(resolved, source)
    require_fit(resolved)
    batches = corpus.batches(resolved)
    record = RunRecord(
        name=name or _name_of(config.data.corpus),
        created=utc_now(),
        config=resolved,
        versions=package_versions(),
        data=DataRecord(
            corpus=resolved.data.corpus,
            source=corpus.source,
            sha256=corpus.sha256,
            tokenizer=corpus.tokenizer.kind,
            vocab_size=corpus.tokenizer.vocab_size,
            n_train_tokens=corpus.train.n_tokens,
            n_validation_tokens=corpus.validation.n_tokens,
            train_bytes=corpus.train.n_bytes,
            validation_bytes=corpus.validation.n_bytes,
            prepared=corpus.folder.name,
            tokenizer_sha256=sha256_file(corpus.folder / TOKENIZER_FILE) if source else "",
            rows_per_epoch=batches.rows_per_epoch,
            tokens_per_byte=corpus.tokens_per_byte,
            stream=corpus.plan if isinstance(corpus, StreamedCorpus) else None,
            is_estimated=isinstance(corpus, StreamedCorpus) and not corpus.is_complete,
        ),
        parent=origin,
        from_model=source is not None,
        base_model=source.known_as if source else "",
        notes=notes,
    )
    create = store.create_free if name is None else store.create
    return create(record, _start_of(source, corpus, resolved) if source else None)


def _start_of(origin: Origin, corpus: PreparedCorpus, config: RunConfig) -> Callable[[Path], None]:
    """What writes the model that the run begins from: as it is, or with the tokens that conversations need."""
    if not isinstance(corpus, PreparedDialogues) or with_chat(origin.tokenizer) is origin.tokenizer:
        return partial(write_start, origin)
    return partial(write_grown_start, origin, corpus.tokenizer, config.model, config.train.seed)


def _name_of(corpus: str) -> str:
    """A name for a run on it."""
    path = Path(parse_hub_corpus(corpus).repository if is_hub_corpus(corpus) else corpus)
    return name_from(STANDARD_INPUT if is_kept(path) else bare_name(path.name), "run")


def require_ranks(config: RunConfig, processes: int) -> None:
    """Raise ConfigError where a batch cannot be shared out among so many processes."""
    train = config.train
    if train.batch_size % (processes * train.grad_accumulation_steps):
        raise ConfigError(
            "train.batch_size",
            f"{train.batch_size} cannot be shared out evenly among {processes} processes times "
            f"{train.grad_accumulation_steps} accumulation steps; take a multiple of "
            f"{processes * train.grad_accumulation_steps}",
        )


def _require_vocabulary(corpus: PreparedCorpus) -> None:
    if corpus.tokenizer.vocab_size < 2:
        raise CorpusError(
            f"{corpus.source} consists of a single character, repeated, so there is nothing to learn; choose another "
            "text, or the tokenizer bpe"
        )


def _require_sample_prompt(config: RunConfig, corpus: PreparedCorpus) -> None:
    """Raises ConfigError for a prompt that would fail the run at its first evaluation, perhaps hours from now."""
    try:
        corpus.tokenizer.encode(config.train.sample_prompt)
    except TuiGptError as error:
        raise ConfigError("train.sample_prompt", f"cannot be continued: {error}") from None


def _require_adaptable(config: RunConfig, origin: Origin | None) -> None:
    """Raises ConfigError where there is nothing that low-rank adapters could adapt, or nothing low about their rank."""
    rank = config.train.lora_rank
    if not rank:
        return
    if origin is None:
        raise ConfigError(
            "train.lora_rank",
            f"is {rank}, and adapters need a model that they adapt; begin from one (--from MODEL), or leave it out to "
            "train a new one",
        )
    if rank > config.model.n_embd:
        raise ConfigError(
            "train.lora_rank",
            f"{rank} is more than the model's width of {config.model.n_embd}; take less, or 0 to train all its weights",
        )


def _with_shape_of(origin: Origin, config: RunConfig, corpus: PreparedCorpus) -> RunConfig:
    vocabulary = max(origin.model.vocabulary, corpus.tokenizer.vocab_size)
    model = msgspec.structs.replace(origin.model, dropout=config.model.dropout, vocab_size=vocabulary)
    shaped: RunConfig = msgspec.structs.replace(config, model=model)
    return shaped


def _resolve(config: RunConfig, corpus: PreparedCorpus) -> RunConfig:
    """The configuration with everything that depends on the corpus written out, so that it means the same later."""
    shares = corpus_shares(config.data.corpus, config.data.mix)[1:]
    data = msgspec.structs.replace(
        with_own_choices(config.data),
        tokenizer=corpus.tokenizer.kind,
        corpus=_written_out(config.data.corpus),
        mix=tuple(str(msgspec.structs.replace(share, corpus=_written_out(share.corpus))) for share in shares),
        column=corpus.facts.columns[0] if len(corpus.facts.columns) == 1 else config.data.column,
        # A column that is named is one of texts, unless this is said.
        form="conversations" if isinstance(corpus, PreparedDialogues) else config.data.form,
    )
    resolved: RunConfig = msgspec.structs.replace(config, data=data)
    return resolved


def _written_out(corpus: str) -> str:
    """The corpus by a name that means the same from everywhere, and of the Hub with the commit that was fetched."""
    return pinned(corpus) if is_named(corpus) else str(corpus_path(corpus).absolute())


def require_fit(config: RunConfig) -> None:
    """Raise MemoryLimitError where training would need more memory than the device has free."""
    if config.train.device.startswith("cuda") or config.train.device == "mps":
        return  # asked of the device itself, by the trainer: looking would cost the import of torch here
    needed = training_memory(config.model, config.train, "float32" if config.train.precision == "float32" else "bf16")
    require_memory(needed, psutil.virtual_memory().available, "train this model")


def package_versions() -> dict[str, str]:
    """What makes a run: the program and the packages whose versions may matter to its numbers."""
    from importlib.metadata import version

    from tui_gpt import __version__

    names = ("torch", "numpy", "tokenizers", "tiktoken", "safetensors")
    return {"tui_gpt": __version__, **{name: version(name) for name in names}}
