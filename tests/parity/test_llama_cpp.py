"""What llama.cpp itself makes of our GGUF files: the same tokens, text, logits and perplexity."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_models import SHAPE, TEXT, save_random_model
from torch.nn import functional as F

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import ModelRecord
from tui_gpt.engine.generation.dialogue import dialogue_prompt
from tui_gpt.engine.generation.evaluation import evaluate_tokens
from tui_gpt.engine.generation.stream import Generator
from tui_gpt.engine.interop.gguf_file import GgufType, write_gguf
from tui_gpt.engine.interop.huggingface import LoadedModel, read_model_folder, write_model_folder
from tui_gpt.engine.text import gpt2_tokenizer
from tui_gpt.engine.text.bpe_tokenizer import BpeTokenizer
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.dialogues.chat_format import with_chat
from tui_gpt.engine.text.dialogues.conversation import Message
from tui_gpt.engine.text.stories import generate_stories
from tui_gpt.engine.text.tokenizer import END_OF_TEXT

# The first test of a session waits for the build.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FAMILIES = ("gpt2", "qwen3", "llama")
CONTEXT = SHAPE["n_positions"]
TRAINING = "the cat's  hat, the mat; they'LL 12 1234!!\n\n\r\n\té e\u0301 naïve 漢字漢字 😀😀\x00  aaa aaaa abab\n" * 20
TEXTS = [
    TEXT,
    TRAINING[:500],
    "don't I'll we've they're he's I'd I'm DON'T I'LL 'tis 'S's''s rock 'n' roll it´s it’s",
    "a  b\n\n c\t\td \t e\r\nf\r\n\r\n  \n   g   ",
    " ",
    "   \n\n\n   ",
    " " * 300 + "x" + "\n" * 300 + "y" + "\t" * 50,
    "1 12 123 1234 12345678901234567890 3,14 3.14 1e-5 0x1F ½ ① Ⅷ ٣٤٥ 𝟘𝟙 2nd x86_64",
    "!!! ... ---- ?! (a)[b]{c} <d> 'e' \"f\" `g` ~~~ a.b.c a/b\\c $1 #2 @3 100% x=y+z;",
    "Füße, naïve café, e\u0301a\u0308, İstanbul, ſtraße, ǅ, Ωμέγα, Привет, мир!",
    "漢字とかなカナ。한국어 text, 中文1234，עברית שלום العربية नमस्ते ภาษาไทย",
    "🦊 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ☕️ \u200b\u200d\ufeff\u00a0\u3000\u2028\u0085\x1c\x00\x7f\ufffd\U0010ffff",
    "def f(x: int) -> str:\n\tif x:\n        return f'{x!r}'\n\n\n# end\n",
    END_OF_TEXT,
    f"one{END_OF_TEXT}two {END_OF_TEXT}\n{END_OF_TEXT}{END_OF_TEXT} <|endoftext <|im_start|>",
]


@contextmanager
def opened(llama_cpp: Any, path: Path, *, n_ctx: int = CONTEXT, exact: bool = True) -> Iterator[Any]:
    """llama.cpp with that model; `exact`: keys and values are kept in float32, and not in float16 as is usual."""
    kept = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32} if exact else {}
    llama = llama_cpp.Llama(
        str(path), n_ctx=n_ctx, n_threads=1, n_threads_batch=1, logits_all=True, verbose=False, **kept
    )
    try:
        yield llama
    finally:
        llama.close()


def model_and_file(name: str, folder: Path, kind: GgufType = "f32") -> tuple[LoadedModel, Path]:
    path = folder / f"{name}-{kind}.gguf"
    write_gguf(name, path, kind)
    return read_model_folder(ModelHandler().load(name)), path


def their_logits(llama: Any, ids: list[int]) -> torch.Tensor:
    """For every token what may follow it, (T, V)."""
    llama.reset()
    llama.eval(ids)
    return torch.from_numpy(llama.scores[: len(ids)].copy())


@torch.inference_mode()
def our_logits(loaded: LoadedModel, ids: list[int]) -> torch.Tensor:
    logits: torch.Tensor = loaded.network(torch.tensor([ids]))[0]
    return logits


def our_greedy_tokens(loaded: LoadedModel, ids: list[int], length: int) -> list[int]:
    """The most probable continuation until there are `length` tokens; each is computed from all before it."""
    ids = list(ids)
    while len(ids) < length:
        ids.append(int(our_logits(loaded, ids)[-1].argmax()))
    return ids


def their_greedy_tokens(llama: Any, ids: list[int], length: int) -> list[int]:
    tokens = llama.generate(list(ids), temp=0.0, repeat_penalty=1.0)
    return [*ids, *(next(tokens) for _ in range(length - len(ids)))]


# ---- tokens


def assert_same_tokens(llama_cpp: Any, home: Path, tokenizer: BpeTokenizer, *, nfc: bool = False) -> None:
    """Over TEXTS and every character that was in Unicode 3.2, which no one's tables can lack."""
    save_random_model("llama", tokenizer=tokenizer)
    loaded, path = model_and_file("fox", home)
    characters = [chr(code) for code in (*range(0x3000), *range(0x3000, 0x110000, 97))]
    known = [one for one in characters if unicodedata.ucd_3_2_0.category(one) not in ("Cn", "Cs")]
    assert len(known) > 9000
    with opened(llama_cpp, path) as llama:
        for text in [*TEXTS, *(f"a {one}1{one}{one}!{one}b  {one} '{one}'s\n{one}" for one in known)]:
            # llama.cpp normalizes nothing.
            given = unicodedata.normalize("NFC", text) if nfc else text
            ids = loaded.tokenizer.encode(given)
            assert llama.tokenize(given.encode(), add_bos=False, special=False) == ids
            assert llama.detokenize(ids) == given.encode()
        assert llama.tokenize(b"one") == loaded.tokenizer.encode("one"), "nothing is put before a prompt"
        eot = loaded.tokenizer.eot_id
        assert eot == llama.token_eos() == llama.token_bos()
        for text in filter(lambda text: END_OF_TEXT in text, TEXTS):
            parts = [loaded.tokenizer.encode(part) for part in text.split(END_OF_TEXT)]
            expected = [token for part in parts for token in (eot, *part)][1:]
            assert llama.tokenize(text.encode(), add_bos=False, special=True) == expected
            assert llama.detokenize(expected, special=True) == text.encode()


@pytest.mark.parametrize("vocab_size", [257, 300, 1024])
def test_tokens_of_a_bpe_trained_here_are_the_same(home: Path, vocab_size: int, llama_cpp: Any) -> None:
    home.mkdir()
    assert_same_tokens(llama_cpp, home, train_bpe([TRAINING], vocab_size))


def test_tokens_of_a_bpe_split_as_qwen_does_are_the_same_for_normalized_text(home: Path, llama_cpp: Any) -> None:
    home.mkdir()
    trained = train_bpe([TRAINING], 400)
    qwen = BpeTokenizer(
        [trained.token_bytes(token) for token in range(trained.vocab_size - 1)],
        merges=trained.merges,
        specials={END_OF_TEXT: trained.vocab_size - 1},
        pattern="qwen2",
        nfc=True,
    )
    assert_same_tokens(llama_cpp, home, qwen, nfc=True)


@pytest.mark.shared_data
def test_gpt2s_own_tokens_are_the_same(
    home: Path, shared_data: Path, llama_cpp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared_data / "tiktoken_cache"))
    if not gpt2_tokenizer.is_available_offline():
        pytest.skip(f"the files of GPT-2's tokenizer are not in {shared_data / 'tiktoken_cache'}")
    assert_same_tokens(llama_cpp, home, gpt2_tokenizer.gpt2_tokenizer())


# ---- networks

ACCURATE_GELU = F.gelu


def their_gelu(x: torch.Tensor, approximate: str) -> torch.Tensor:
    """llama.cpp looks GELU up in a table of float16 between -10 and 10 (GGML_GELU_FP16)."""
    table = ACCURATE_GELU(x.half().float(), approximate=approximate).half().float()
    return torch.where(x <= -10, torch.zeros_like(x), torch.where(x >= 10, x, table))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_greedy_text_are_the_same_to_the_end_of_the_context(
    home: Path, family: str, tied: bool, llama_cpp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_random_model(family, tied=tied, padding=3)
    loaded, path = model_and_file("fox", home)
    prompt = loaded.tokenizer.encode(TEXT[:20])
    ids = our_greedy_tokens(loaded, prompt, CONTEXT)
    assert len(set(ids)) > 20, "a network that repeats itself shows little"
    with opened(llama_cpp, path) as llama:
        assert their_greedy_tokens(llama, prompt, CONTEXT) == ids
        theirs = their_logits(llama, ids)
        difference = (theirs - our_logits(loaded, ids)).abs()
        print(f"{family}: logits differ by {difference.max():.1e} at the most, {difference.median():.1e} half of them")
        assert difference.max() < (1e-2 if family == "gpt2" else 2e-4)
        monkeypatch.setattr(F, "gelu", their_gelu)
        difference = (theirs - our_logits(loaded, ids)).abs()
        print(f"with llama.cpp's GELU by {difference.max():.1e} and {difference.median():.1e}")
        assert difference.median() < 5e-5, "what is left are float16s rounded the other way, here and there"
        known = [token for token in ids if token < loaded.tokenizer.vocab_size]
        assert llama.detokenize(known, special=True).decode("utf-8", "replace") == loaded.tokenizer.decode(known)


@pytest.mark.parametrize("kind", ["f16", "q8_0"])
@pytest.mark.parametrize("family", FAMILIES)
def test_smaller_types_predict_about_the_same(home: Path, family: str, kind: GgufType, llama_cpp: Any) -> None:
    save_random_model(family)
    loaded, path = model_and_file("fox", home, kind)
    ids = loaded.tokenizer.encode(TEXT)[:CONTEXT]
    ours = F.log_softmax(our_logits(loaded, ids), -1)
    with opened(llama_cpp, path) as llama:
        theirs = F.log_softmax(their_logits(llama, ids), -1)
    divergence = float(F.kl_div(theirs, ours, log_target=True, reduction="batchmean"))
    print(f"{family} {kind}: {divergence:.2e} nats of divergence per token")
    assert divergence < {"f16": 2e-5, "q8_0": 2e-2}[kind]


# ---- the example model


def test_the_example_writes_the_same_story_to_the_end_of_its_context(home: Path, llama_cpp: Any) -> None:
    home.mkdir()
    loaded, path = model_and_file("stories", home)
    length = loaded.network.config.n_positions
    prompt = loaded.tokenizer.encode("Once upon a time")
    ids = our_greedy_tokens(loaded, prompt, length)
    with opened(llama_cpp, path, n_ctx=length, exact=False) as llama:
        assert their_greedy_tokens(llama, prompt, length) == ids


@pytest.mark.parametrize(("kind", "tolerance"), [("f32", 5e-5), ("f16", 5e-5), ("q8_0", 5e-3)])
def test_the_example_has_the_same_perplexity_on_stories_it_never_saw(
    home: Path, kind: GgufType, tolerance: float, llama_cpp: Any
) -> None:
    home.mkdir()
    loaded, path = model_and_file("stories", home, kind)
    eot = loaded.tokenizer.eot_id
    assert eot is not None
    ids = [token for story in generate_stories(7, 0.05) for token in (eot, *loaded.tokenizer.encode(story))]
    ours = evaluate_tokens(loaded.network, np.array(ids))
    length = loaded.network.config.n_positions
    nats = 0.0
    with opened(llama_cpp, path, n_ctx=length, exact=False) as llama:
        for start in range(0, len(ids) - 1, length):
            window = ids[start : start + length + 1]
            logits = their_logits(llama, window[:-1]).double()
            nats += float(F.cross_entropy(logits, torch.tensor(window[1:]), reduction="sum"))
    perplexity, reference = math.exp(nats / ours.n_tokens), math.exp(ours.loss)
    print(f"{kind}: perplexity {perplexity:.6f} and ours {reference:.6f}, {perplexity / reference - 1:+.5%}")
    assert perplexity == pytest.approx(reference, rel=tolerance)


# ---- conversations


def chatty_model(name: str) -> None:
    """Writes ASCII only, and in the place of its tenth token to one question the one that ends an answer."""
    tokenizer = with_chat(train_bpe([TRAINING], 400))
    network = save_random_model("qwen3", tied=False, tokenizer=tokenizer)
    asked = dialogue_prompt(tokenizer, TALK, CONTEXT, 10)
    assert network.head is not None
    with torch.no_grad():
        for token in range(tokenizer.vocab_size):
            if not tokenizer.token_bytes(token).isascii() or token in tokenizer.specials.values():
                network.head.weight[token] = 0.0
        *_, tenth = Generator(network, tokenizer).stream(asked.ids, SampleConfig(temperature=0, max_new_tokens=10))
        network.head.weight[tokenizer.specials["<|end|>"]] = 1.05 * network.head.weight[tenth.token_id]
    ModelHandler().save(
        name,
        lambda folder: write_model_folder(folder, network, network.config, tokenizer),
        ModelRecord(name=name, family="qwen3"),
    )


TALK = [
    Message("system", "the mat"),
    Message("user", "the cat's\n\nhat?"),
    Message("assistant", "aaa abab"),
    Message("user", "they'LL 12"),
]


def test_a_talk_is_read_answered_and_ended_as_here(home: Path, llama_cpp: Any) -> None:
    chatty_model("talker")
    loaded, path = model_and_file("talker", home)
    prompt = dialogue_prompt(loaded.tokenizer, TALK, CONTEXT, 30)
    pieces = list(Generator.of(loaded).stream(prompt.ids, SampleConfig(temperature=0, max_new_tokens=30)))
    assert pieces[-1].finished == "eot"
    messages = [{"role": role, "content": content} for role, content in TALK]
    with opened(llama_cpp, path) as llama:
        done = llama.create_chat_completion(messages, temperature=0.0, max_tokens=30, repeat_penalty=1.0)
        assert done["usage"]["prompt_tokens"] == len(prompt.ids)
        (choice,) = done["choices"]
        assert choice["message"]["content"] == "".join(piece.text for piece in pieces)
        assert choice["finish_reason"] == "stop"
        assert llama.token_eos() == loaded.tokenizer.specials["<|end|>"]
