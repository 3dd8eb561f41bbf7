"""A model folder, of every family and tokenizer, opens in transformers as it lies: ids, logits, text, pipeline."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from tui_gpt.core.config import ModelConfig, SampleConfig
from tui_gpt.core.locations import example_models_dir
from tui_gpt.core.model_card import model_card
from tui_gpt.core.model_folder import read_record
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import ModelRecord, TokenizerRecord
from tui_gpt.engine.generation.stream import Generator
from tui_gpt.engine.interop.huggingface import read_model_folder, write_model_folder
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.text import gpt2_tokenizer
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.tokenizer import END_OF_TEXT, Tokenizer

if TYPE_CHECKING:
    from training_runs import Scene

FAMILIES = ("gpt2", "qwen3", "llama")
GPT2 = pytest.param("gpt2", marks=pytest.mark.shared_data)
KINDS = ("char", "bpe", GPT2)
TIED_OR_NOT = (
    *(("char", True), ("bpe", True), ("bpe", False)),
    pytest.param("gpt2", True, marks=pytest.mark.shared_data),
)
CONTEXT = 240
PROMPT = "Once upon"
TEXT = "Once upon a time a small fox 🦊 met a café owner. “Hello!”\n  They had 3,14 pies — don't you?\n" * 3
HARD = (
    "",
    " ",
    "   three before, two after  ",
    "a \n b  \n\n\n c\n",
    "one\r\ntwo\r\n\r\nthree\rfour",
    "\t\tx\ty\v\f",
    " " * 700 + "x" + "\n" * 300,
    "a" * 1000,
    "café cafe\u0301 Ω ﬁ Å A\u030a ß İ",
    "漢字かな交じり文 한글 עברית العربية हिन्दी ไทย",
    "🦊👩\u200d👩\u200d👧🏳️\u200d🌈 1️⃣",
    "\x00\x01\x1b[31m\x7f\x85\xa0\u200b\u2028\u2029\u3000\ufeff\ufffd\U0010ffff",
    "we'LL they're I'M o'clock ''' \"\"\"",
    "1234567 3,14 1e-5 0x1F ²³ ½ Ⅷ ٣",
    "C:\\path\\new {x} <b>&amp;</b> [UNK] <unk> <s> </s>",
    f"{END_OF_TEXT} a{END_OF_TEXT}{END_OF_TEXT}b <|endoftext",
)


@pytest.fixture(scope="module")
def _gpt2_files(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The two files of GPT-2's tokenizer, without a network."""
    cache = tmp_path_factory.mktemp("cache") / "tiktoken"
    shutil.copytree(shared_data / "tiktoken_cache", cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        gpt2_tokenizer.gpt2_tokenizer.cache_clear()
        yield


@pytest.fixture
def tokenizer(kind: str, request: pytest.FixtureRequest) -> Tokenizer:
    if kind == "gpt2":
        request.getfixturevalue("_gpt2_files")
        return gpt2_tokenizer.gpt2_tokenizer()
    return CharTokenizer(TEXT + "".join(HARD)) if kind == "char" else train_bpe([TEXT, *HARD], 400)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What transformers and the Hub's client warn of."""
    heard: list[str] = []
    ear = logging.Handler(logging.WARNING)
    ear.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    for logger in loggers:
        logger.addHandler(ear)
    yield heard
    for logger in loggers:
        logger.removeHandler(ear)


def written(
    folder: Path, family: str, tokenizer: Tokenizer, *, sample: SampleConfig | None = None, **shape: Any
) -> GPT:
    """A folder with loud random weights, so that what is written greedily is no single token over and over."""
    sizes = {"n_positions": CONTEXT, "n_embd": 64, "n_layer": 2, "n_head": 4}
    sizes |= {} if family == "gpt2" else {"n_kv_head": 2}
    model = ModelConfig(family=family, vocab_size=tokenizer.vocab_size, **(sizes | shape))  # type: ignore[arg-type]
    network = build_network(model, 5).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.4, generator=generator)
    folder.mkdir(exist_ok=True)
    write_model_folder(folder, network, model, tokenizer, sample=sample)
    return network


def assert_same_greedy_text(folder: Path, prompt: str, max_new_tokens: int) -> list[int]:
    """Both programs, each from the folder alone, continue the prompt in the same way; returns the new ids."""
    pieces = list(
        Generator.of(read_model_folder(folder)).stream(
            prompt, SampleConfig(temperature=0, max_new_tokens=max_new_tokens)
        )
    )
    their_tokenizer = AutoTokenizer.from_pretrained(folder)
    prompted = their_tokenizer(prompt, return_tensors="pt")
    with torch.inference_mode():
        # Where the weights lie in bf16, transformers would compute in it too.
        found = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).generate(
            **prompted, do_sample=False, max_new_tokens=max_new_tokens
        )
    answer: list[int] = found[0, prompted["input_ids"].shape[1] :].tolist()
    assert [piece.token_id for piece in pieces] == answer
    text = "".join(piece.text for piece in pieces)
    assert text == their_tokenizer.decode(answer, skip_special_tokens=True)
    assert their_tokenizer.decode(found[0], skip_special_tokens=True) == prompt + text
    return answer


@pytest.mark.parametrize(("kind", "tied"), TIED_OR_NOT)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_written_folder_has_equal_logits_and_writes_equal_text(
    tmp_path: Path, family: str, kind: str, tied: bool, tokenizer: Tokenizer, said: list[str]
) -> None:
    network = written(tmp_path, family, tokenizer, tie_word_embeddings=tied)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert theirs.dtype == torch.float32
    window = torch.tensor([tokenizer.encode(TEXT)])[:, :CONTEXT]
    with torch.inference_mode():
        torch.testing.assert_close(network(window), theirs(window).logits, atol=1e-4, rtol=1e-4)
    answer = assert_same_greedy_text(tmp_path, PROMPT, 200)
    assert len(answer) == 200 or answer[-1] == tokenizer.eot_id
    assert len(set(answer)) > 12, "degenerate text shows no difference"
    assert said == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_equal_both_ways_for_hard_texts(tmp_path: Path, family: str, kind: str, tokenizer: Tokenizer) -> None:
    written(tmp_path, family, tokenizer)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert (len(theirs), theirs.model_max_length) == (tokenizer.vocab_size, CONTEXT)
    assert (theirs.bos_token_id, theirs.eos_token_id) == (tokenizer.eot_id, tokenizer.eot_id)
    assert theirs.unk_token is None
    for text in HARD:
        ids = tokenizer.encode(text)
        # As everywhere, transformers takes a special token in text for that token unless told not to.
        assert theirs(text, split_special_tokens=True)["input_ids"] == ids
        assert theirs.decode(ids) == tokenizer.decode(ids) == text
        if tokenizer.eot_id is None or END_OF_TEXT not in text:
            assert theirs(text)["input_ids"] == ids
            assert theirs.decode(ids, skip_special_tokens=True) == text
    chance = random.Random(7)
    for length in (1, 2, 5, 50, 500):
        ids = chance.choices(range(tokenizer.vocab_size), k=length)  # bytes that are no characters, the special token
        assert theirs.decode(ids) == tokenizer.decode(ids)


@pytest.mark.parametrize("kind", ["bpe", GPT2])
def test_the_end_of_a_text_is_the_same_token(tmp_path: Path, kind: str, tokenizer: Tokenizer) -> None:
    written(tmp_path, "gpt2", tokenizer)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.eot_id is not None
    ids = [*tokenizer.encode("a"), tokenizer.eot_id, *tokenizer.encode("b")]
    assert theirs(f"a{END_OF_TEXT}b")["input_ids"] == ids
    assert theirs.decode(ids) == f"a{END_OF_TEXT}b" and theirs.decode(ids, skip_special_tokens=True) == "ab"


@pytest.mark.parametrize("kind", ["bpe"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_defaults_of_generation_write_what_the_same_settings_write_here(
    tmp_path: Path, family: str, tokenizer: Tokenizer, kind: str, said: list[str]
) -> None:
    sample = SampleConfig(temperature=0, repetition_penalty=1.4, max_new_tokens=100)
    network = written(tmp_path, family, tokenizer, sample=sample)
    ours = [piece.token_id for piece in Generator(network, tokenizer).stream(PROMPT, sample)]
    prompted = AutoTokenizer.from_pretrained(tmp_path)(PROMPT, return_tensors="pt")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).generate(**prompted)[0].tolist()
    assert theirs == tokenizer.encode(PROMPT) + ours
    assert len(ours) == 100
    plain = [piece.token_id for piece in Generator(network, tokenizer).stream(PROMPT, SampleConfig(temperature=0))]
    assert ours != plain[:100], "the penalty made no difference"
    assert said == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_pipeline_continues_the_prompt(
    tmp_path: Path, family: str, kind: str, tokenizer: Tokenizer, said: list[str]
) -> None:
    written(tmp_path, family, tokenizer)
    write = pipeline("text-generation", model=str(tmp_path))
    for prompt in (PROMPT, "  two spaces , and a comma .\n\n", "café 🦊 漢字"):
        (answer,) = write(prompt, max_new_tokens=30)
        assert answer["generated_text"].startswith(prompt)
        assert len(answer["generated_text"]) > len(prompt)
    greedy = write(PROMPT, max_new_tokens=50, do_sample=False, return_full_text=False)[0]["generated_text"]
    settings = SampleConfig(temperature=0, max_new_tokens=50)
    stream = Generator.of(read_model_folder(tmp_path)).stream(PROMPT, settings)
    assert greedy == "".join(piece.text for piece in stream)
    assert said == []


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_pipeline_writes_unasked_fits_into_a_small_context(tmp_path: Path, family: str, said: list[str]) -> None:
    written(tmp_path, family, CharTokenizer(TEXT), n_positions=32)
    (answer,) = pipeline("text-generation", model=str(tmp_path))(PROMPT)
    assert len(answer["generated_text"]) == len(PROMPT) + 16
    assert said == []


# ---- models that were trained


def run_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the Python in the card prints where the folder lies."""
    code = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("\n```\n")[0]
    monkeypatch.chdir(folder.parent)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    return printed.getvalue()


def assert_opens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = read_record(folder)
    assert record is not None and record.sample is not None
    loaded = read_model_folder(folder)
    text = record.sample.prompt + record.sample.text
    ids = loaded.tokenizer.encode(text)[: loaded.config.n_positions]
    their_tokenizer = AutoTokenizer.from_pretrained(folder)
    assert their_tokenizer(text)["input_ids"][: len(ids)] == ids
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        logits = theirs(torch.tensor([ids])).logits
        torch.testing.assert_close(loaded.network(torch.tensor([ids])), logits, atol=1e-4, rtol=1e-4)
    assert len(assert_same_greedy_text(folder, record.sample.prompt, 200)) == 200
    assert run_card(folder, monkeypatch).startswith(record.sample.prompt)


@pytest.mark.parametrize("name", ["python", "shakespeare", "stories"])
def test_an_example_opens_and_its_card_runs_as_it_stands(
    name: str, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    examples = example_models_dir()
    assert examples is not None
    assert_opens(examples / name, monkeypatch)
    assert said == []


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_run_leaves_opens_and_its_card_runs_as_it_stands(
    scene: Scene, family: str, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    from training_runs import tiny

    shape = {"family": family, "n_positions": CONTEXT}
    assert scene.train_here(scene.begin(tiny(scene.text, model=shape, max_steps=10, batch_size=2))) == 0
    assert scene.models() == ["bard"]
    assert_opens(scene.home / "models" / "bard", monkeypatch)
    assert said == []


def test_the_card_of_a_small_context_runs_as_it_stands(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from training_runs import tiny

    assert scene.train_here(scene.begin(tiny(scene.text, model={"family": "gpt2"}, max_steps=4))) == 0
    assert run_card(scene.home / "models" / "bard", monkeypatch)


FRESH = """
import json, sys
from transformers import pipeline
writers = [pipeline("text-generation", model=folder) for folder in sys.argv[1:]]
print(json.dumps([write("Once upon")[0]["generated_text"] for write in writers]))
"""


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.usefixtures("_gpt2_files")
def test_a_pipeline_in_a_process_of_its_own_says_nothing_to_wonder_about(tmp_path: Path) -> None:
    tokenizers = (CharTokenizer(TEXT), train_bpe([TEXT], 300), gpt2_tokenizer.gpt2_tokenizer())
    folders = []
    for family in FAMILIES:
        for tokenizer in tokenizers:
            folders.append(str(tmp_path / f"{family}-{tokenizer.kind}"))
            written(Path(folders[-1]), family, tokenizer)
    examples = example_models_dir()
    assert examples is not None
    folders.append(str(examples / "stories"))
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", FRESH, *folders], capture_output=True, text=True, check=True
    )
    assert all(text.startswith("Once upon") and len(text) > 20 for text in json.loads(done.stdout))
    lines = done.stderr.replace("\r", "\n").split("\n")
    assert [line for line in lines if line and not line.startswith("Loading weights: ")] == []


def test_a_card_leads_to_the_folder_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = ModelHandler(tmp_path / "models", tmp_path / "none", tmp_path / "notes.txt")
    tokenizer = train_bpe([TEXT], 300)
    record = ModelRecord(name="", family="llama", tokenizer=TokenizerRecord(kind="bpe", vocab_size=300))

    def write(folder: Path) -> None:
        written(folder, "llama", tokenizer)

    handler.save("a.b_c-1", write, record)
    assert run_card(handler.load("a.b_c-1"), monkeypatch).startswith("Once upon a time")
    handler.rename("a.b_c-1", "fox")
    saved = handler.get("fox")
    assert saved.record is not None
    assert (saved.folder / "README.md").read_text(encoding="utf-8") == model_card(saved.record)
    assert run_card(saved.folder, monkeypatch).startswith("Once upon a time")
