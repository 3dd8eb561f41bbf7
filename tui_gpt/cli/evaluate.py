"""`tui-gpt eval`: how well a model predicts a text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from tui_gpt.cli.completion import source_names
from tui_gpt.cli.options import checkpoint_option, device_option, echo_json, json_option
from tui_gpt.core.corpora import CATALOGUE
from tui_gpt.core.errors import CorpusError, ModelError

if TYPE_CHECKING:
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.core.config import DataConfig
    from tui_gpt.engine.generation.evaluation import TextEvaluation
    from tui_gpt.engine.generation.model_source import ModelSource
    from tui_gpt.engine.interop.huggingface import LoadedModel
    from tui_gpt.engine.text.prepared import PreparedCorpus

Errors = Literal["strict", "replace"]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    model: str
    text: str
    """What was predicted, for people."""
    loss: float
    """Nats per token."""
    perplexity: float
    bits_per_byte: float
    tokens: int
    bytes: int
    parts: dict[str, float] = {}
    """Of a mix, the loss on each corpus; `loss` is their mean by shares."""
    trainer_loss: float | None = None
    """What the trainer measured over the same text."""


@click.command("eval")
@click.argument("model", shell_complete=source_names)
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--corpus", type=click.Choice(list(CATALOGUE)), help="Take the validation part of a corpus of the catalogue."
)
@click.option("--encoding", default="auto", show_default=True, help="Encoding of FILE.")
@click.option(
    "--errors",
    type=click.Choice(["strict", "replace"]),
    default="strict",
    show_default=True,
    help="What to do with bytes that do not decode.",
)
@checkpoint_option
@device_option
@json_option
def command(
    model: str,
    file: Path | None,
    corpus: str | None,
    encoding: str,
    errors: Errors,
    checkpoint: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure how well MODEL predicts FILE, or - for stdin: loss, perplexity, bits per byte.

    MODEL is a model, a run, or the path of a model's folder. Without FILE, the text is the validation part of what the
    model was trained on, which must not have changed since.

    \b
    Examples:
      tui-gpt eval bard
      tui-gpt eval bard hamlet.txt --json
      tui-gpt eval bard --corpus stories
    """
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.engine.generation.model_source import load_source

    if file is not None and corpus is not None:
        raise click.UsageError("give either FILE or --corpus")
    text = None if file is None else _text_of(file, encoding, errors)
    source, loaded = load_source(model, checkpoint, device)
    progress = ProgressLine()
    try:
        if file is not None and text is not None:
            report = _on_text(source, loaded, text, "stdin" if str(file) == "-" else str(file), progress)
        elif corpus is not None and not _is_own(source, corpus):
            report = _on_corpus(source, loaded, corpus, progress)
        else:
            report = _on_own_corpus(source, loaded, progress)
    finally:
        progress.done()
    if as_json:
        echo_json(report)
    else:
        _tell(report)


def _text_of(file: Path, encoding: str, errors: Errors) -> str:
    from tui_gpt.cli.sample import read_stdin
    from tui_gpt.core.corpus_formats import format_of
    from tui_gpt.engine.text.reading import find_text_files, read_blocks

    if str(file) == "-":
        return read_stdin()
    if file.is_dir():
        raise CorpusError(
            f"{file} is a folder; give one text file, or join them: cat {file}/*.txt | tui-gpt eval MODEL -"
        )
    kind = format_of(file.name)
    if kind.is_table or kind.compression:
        raise CorpusError(
            f"{file} is read as plain text here, and is {kind.title}; give its text as a text file, or train on it and "
            "measure by the part that is held out"
        )
    find_text_files(file, encoding)  # says what is wrong with what is no text file
    return "".join(read_blocks(file, encoding, errors))


def _on_text(source: ModelSource, loaded: LoadedModel, text: str, name: str, progress: ProgressLine) -> Report:
    from tui_gpt.engine.generation.evaluation import evaluate_text

    result = evaluate_text(loaded, text, progress=lambda done, total: progress("evaluating", done / total))
    return _report(source, name, result)


def _report(source: ModelSource, text: str, result: TextEvaluation) -> Report:
    return Report(
        model=source.title,
        text=text,
        loss=result.loss,
        perplexity=result.perplexity,
        bits_per_byte=result.bits_per_byte,
        tokens=result.tokens,
        bytes=result.bytes,
    )


def _is_own(source: ModelSource, corpus: str) -> bool:
    data = None if source.config is None else source.config.data
    return data is not None and data.corpus == corpus and not data.mix


def _on_corpus(source: ModelSource, loaded: LoadedModel, corpus: str, progress: ProgressLine) -> Report:
    """A built-in corpus that the model was not trained on: its validation part as text, for the model's tokenizer.

    Of conversations it is their answers, for a model that writes such.
    """
    from tui_gpt.core.config import DataConfig
    from tui_gpt.core.corpora import find
    from tui_gpt.engine.generation.dialogue import require_chat_format
    from tui_gpt.engine.text.prepare import prepare

    if find(corpus).kind == "conversations":
        require_chat_format(loaded.tokenizer, source.title)
        prepared = prepare(DataConfig(corpus=corpus), tokenizer=loaded.tokenizer, progress=progress)
        prepared.require_length(loaded.config.n_positions, can_shorten=False)
        return _on_prepared(source, loaded, prepared, progress)
    # By characters the part comes back exactly as it was read, documents with a blank line between them.
    prepared = prepare(DataConfig(corpus=corpus, tokenizer="char"), progress=progress)
    text = prepared.tokenizer.decode(prepared.validation.tokens)
    return _on_text(source, loaded, text, f"validation part of {corpus}", progress)


def _on_own_corpus(source: ModelSource, loaded: LoadedModel, progress: ProgressLine) -> Report:
    """The very tokens on which the trainer validated, so that the same model gives the same loss."""
    from tui_gpt.engine.text.prepare import prepare

    data = _own_data(source)
    try:
        prepared = prepare(data, progress=progress, whole=False)
        _require_same_text(source, prepared)
        if not _has_tokenizer_of(loaded, prepared):
            # A model that continues another one keeps that one's tokenizer, whatever its text would have given.
            prepared = prepare(data, tokenizer=loaded.tokenizer, progress=progress, whole=False)
    except CorpusError as error:
        raise CorpusError(f"the text that {source.title} was trained on cannot be had ({error}); give a FILE") from None
    if not _has_tokenizer_of(loaded, prepared):
        raise CorpusError(
            f"the tokens of {prepared.source} are not those that {source.title} was trained on; give the text as FILE"
        )
    return _on_prepared(source, loaded, prepared, progress, source.val_loss)


def _on_prepared(
    source: ModelSource,
    loaded: LoadedModel,
    prepared: PreparedCorpus,
    progress: ProgressLine,
    trainer_loss: float | None = None,
) -> Report:
    from tui_gpt.engine.generation.evaluation import evaluate_corpus

    result = evaluate_corpus(
        loaded.network, prepared, progress=lambda done, total: progress("evaluating", done / total)
    )
    return Report(
        model=source.title,
        text=f"validation part of {prepared.source}",
        loss=result.loss,
        perplexity=math.exp(result.loss) if result.loss < 700 else math.inf,
        # As the trainer reckons it: all bytes of the part, the first token's too.
        bits_per_byte=result.loss / math.log(2) * prepared.tokens_per_byte,
        tokens=result.n_tokens,
        bytes=round(result.n_tokens / prepared.tokens_per_byte),
        parts=result.parts,
        trainer_loss=trainer_loss,
    )


def _own_data(source: ModelSource) -> DataConfig:
    if source.config is None or source.corpus_sha256 is None:
        raise ModelError(f"{source.title} does not say what it was trained on; give a FILE, or --corpus")
    return source.config.data


def _require_same_text(source: ModelSource, prepared: PreparedCorpus) -> None:
    """Raise CorpusError where the text is not that of the training."""
    if prepared.sha256 != source.corpus_sha256:
        now, before = prepared.sha256[:12], (source.corpus_sha256 or "")[:12]
        raise CorpusError(
            f"{prepared.source} is not the text that {source.title} was trained on: its SHA-256 is {now} and was "
            f"{before}"
        )


def _has_tokenizer_of(loaded: LoadedModel, prepared: PreparedCorpus) -> bool:
    import tempfile

    from tui_gpt.core.files import sha256_file
    from tui_gpt.engine.text.given_tokenizer import GivenTokenizer
    from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE

    # As it was read: a run that trains may have rotated its checkpoint away since.
    with tempfile.TemporaryDirectory() as scratch:
        known = GivenTokenizer.of(loaded.tokenizer, Path(scratch)).sha256
    return sha256_file(prepared.folder / TOKENIZER_FILE) == known


def _tell(report: Report) -> None:
    from tui_gpt.cli.tables import echo_pairs

    pairs = [
        ("model", report.model),
        ("text", report.text),
        ("loss", f"{report.loss:.4f} nats per token"),
        *(("", f"{loss:.4f} on {name}") for name, loss in report.parts.items()),
        ("perplexity", f"{report.perplexity:.3f}"),
        ("bits per byte", f"{report.bits_per_byte:.4f}"),
        ("tokens", f"{report.tokens:,}"),
        ("bytes", f"{report.bytes:,}"),
    ]
    if report.trainer_loss is not None:
        pairs.append(("trainer's loss", f"{report.trainer_loss:.4f}"))
    echo_pairs(pairs)
