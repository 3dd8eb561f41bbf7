"""Conversations become the tokens that transformers makes of them, and its answers are ours and end where ours do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from dialogue_sets import write_talks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import SHAPE
from test_tokenizers_parity import TEXTS, TRAINING, foreign_bpe
from training_runs import Scene, last_words, tiny
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from tui_gpt.core.config import ModelConfig, SampleConfig
from tui_gpt.core.errors import ModelError
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.engine.generation.dialogue import dialogue_prompt
from tui_gpt.engine.generation.stream import Generator
from tui_gpt.engine.interop.huggingface import read_model_folder, write_model_folder
from tui_gpt.engine.interop.importing import import_model
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.text import gpt2_tokenizer
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.dialogues.chat_format import CHAT_TOKENS, CHATML_TEMPLATE, TEMPLATE, chat_format, with_chat
from tui_gpt.engine.text.dialogues.conversation import Message, in_turns
from tui_gpt.engine.text.tokenizer import Tokenizer
from tui_gpt.engine.text.tokenizer_files import load_tokenizer
from tui_gpt.engine.training.begin import begin_run

KINDS = (
    *("char", "bpe", "chatml", "chatml of its own template", "extended", "extended with the first ids"),
    pytest.param("gpt2", marks=pytest.mark.shared_data),
)
HARD = (
    "a",
    "two\n\n\nlines",
    "a  b   c\n  d\t\te",
    "café cafe\u0301 Ω ﬁ Å A\u030a",
    "漢字かな 한글 עברית हिन्दी 🦊👩\u200d👩\u200d👧 \u200b\ufeff",
    "we'LL they're 'S''s 1234 3,14 1e-5 ²³",
    "!?...—“quoted”{{ message }}{% if x %}",
    "\x00\x1b[31m\x7f\x85-\u2028-\u3000x",
    "user\nassistant\n<|im_start <|end",
    "\u0301 begins with what combines",
    "  space around it that no reader leaves \n",
)


def foreign(folder: Path, *, chatml: bool, template: str | None = None, specials_first: bool = False) -> Tokenizer:
    """A tokenizer made by others, with Qwen2's pattern: with ChatML's tokens, or with none for conversations."""
    folder.mkdir()
    fast = foreign_bpe(folder, qwen=True, specials_first=specials_first)
    if chatml:
        fast.add_special_tokens(["<|im_start|>", "<|im_end|>"])
        fast.save(str(folder / "tokenizer.json"))
    stated = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}
    stated |= {"chat_template": template} if template else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(stated), encoding="utf-8")
    return load_tokenizer(folder)


@pytest.fixture
def tokenizer(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tokenizer]:
    with pytest.MonkeyPatch.context() as patch:
        match kind:
            case "char":
                made: Tokenizer = CharTokenizer(TRAINING + "".join(HARD))
            case "bpe":
                made = train_bpe([TRAINING, *HARD], 400)
            case "gpt2":
                cache = tmp_path / "tiktoken"
                shutil.copytree(request.getfixturevalue("shared_data") / "tiktoken_cache", cache)
                patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
                gpt2_tokenizer.gpt2_tokenizer.cache_clear()
                made = gpt2_tokenizer.gpt2_tokenizer()
            case "chatml":
                made = foreign(tmp_path / "foreign", chatml=True)
            case "chatml of its own template":
                own = CHATML_TEMPLATE.replace("{% for", "{# ours #}{% for")
                made = foreign(tmp_path / "foreign", chatml=True, template=own)
            case "extended":
                made = foreign(tmp_path / "foreign", chatml=False)
            case _:
                made = foreign(tmp_path / "foreign", chatml=False, specials_first=True)
        yield with_chat(made)


def saved(tokenizer: Tokenizer, folder: Path) -> Any:
    """As transformers reads it."""
    folder.mkdir()
    tokenizer.save(folder, model_max_length=64)
    return AutoTokenizer.from_pretrained(folder)


def theirs(opened: Any, messages: list[Message], *, answer_next: bool) -> list[int]:
    asked = [{"role": role, "content": content} for role, content in messages]
    ids: list[int] = opened.apply_chat_template(
        asked, add_generation_prompt=answer_next, tokenize=True, return_dict=False
    )
    return ids


def ours(tokenizer: Tokenizer, messages: list[Message], *, answer_next: bool) -> list[int]:
    written = chat_format(tokenizer)
    assert written is not None
    return written.encode(messages, answer_next=answer_next).ids


def conversations(contents: st.SearchStrategy[str]) -> st.SearchStrategy[list[Message]]:
    turns = st.lists(contents, min_size=1, max_size=6).map(
        lambda said: [Message(("user", "assistant")[n % 2], text) for n, text in enumerate(said)]
    )
    system = st.none() | contents
    return st.tuples(system, turns).map(lambda t: [*([Message("system", t[0])] if t[0] is not None else []), *t[1]])


@pytest.mark.parametrize("kind", KINDS)
def test_the_tokens_are_those_of_transformers(kind: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    opened = saved(tokenizer, tmp_path / "saved")
    reread = load_tokenizer(tmp_path / "saved")
    known = [text.strip() for text in TRAINING.split(" ") if text.strip()]
    contents = st.sampled_from([text.strip() for text in HARD] + known)
    if kind != "char":
        # As readers leave them; a token's name in a text is one to transformers, and here it is text.
        contents = contents | TEXTS.map(str.strip).filter(lambda text: text and "<|" not in text)

    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
    @given(conversations(contents), st.booleans())
    def equal(messages: list[Message], answer_next: bool) -> None:
        wanted = theirs(opened, messages, answer_next=answer_next)
        assert ours(tokenizer, messages, answer_next=answer_next) == wanted
        assert ours(reread, messages, answer_next=answer_next) == wanted

    equal()


@pytest.mark.parametrize("kind", KINDS)
def test_the_marks_cover_the_answers_and_their_ends(kind: str, tokenizer: Tokenizer) -> None:
    written = chat_format(tokenizer)
    assert written is not None
    messages = [
        Message("system", "the cat"),
        Message("user", "the hat"),
        Message("assistant", "they'LL"),
        *[Message("user", "the 12"), Message("assistant", "aaa")],
    ]
    encoded = written.encode(messages)
    answered = [token for token, counts in zip(encoded.ids, encoded.answers, strict=True) if counts]
    end = tokenizer.token_bytes(written.end_id).decode()
    assert tokenizer.decode(answered) == f"they'LL{end}aaa{end}"
    assert [tokenizer.decode(encoded.ids[at:])[:14] for at in encoded.turns] == (
        ["<|user|>the ha", "<|user|>the 12"] if end == "<|end|>" else ["<|im_start|>us"] * 2
    )
    assert not any(written.encode([], answer_next=True).answers)


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_in_what_is_said_are_text(kind: str, tokenizer: Tokenizer) -> None:
    written = chat_format(tokenizer)
    assert written is not None
    said = "<|end|><|assistant|><|im_end|>" if kind != "char" else "<|end"
    ids = written.encode([Message("user", said)]).ids
    specials = set(tokenizer.specials.values())
    assert sum(token in specials for token in ids) == 2
    assert said in tokenizer.decode(ids)


def test_a_tokenizer_saved_again_by_transformers_still_writes_conversations(tmp_path: Path) -> None:
    for name, tokenizer in (("char", CharTokenizer(TRAINING)), ("bpe", train_bpe([TRAINING], 400))):
        opened = saved(with_chat(tokenizer), tmp_path / name)
        again = tmp_path / f"{name} again"
        opened.save_pretrained(again)
        assert (again / "chat_template.jinja").exists(), "where newer versions keep it"
        reread = load_tokenizer(again)
        assert reread.chat_template == TEMPLATE
        assert chat_format(reread) is not None and with_chat(reread) is reread
        messages = [Message("user", "the cat"), Message("assistant", "the hat")]
        assert ours(reread, messages, answer_next=True) == theirs(opened, messages, answer_next=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_gets_tokens_for_conversations_once(kind: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert with_chat(tokenizer) is tokenizer
    opened = saved(tokenizer, tmp_path / "saved")
    reread = load_tokenizer(tmp_path / "saved")
    assert with_chat(reread) is reread
    assert dict(reread.specials) == dict(tokenizer.specials)
    written = chat_format(reread)
    assert written is not None
    assert opened.eos_token_id == written.end_id
    assert opened.convert_ids_to_tokens(written.end_id) in ("<|end|>", "<|im_end|>")
    assert all(token in opened.all_special_tokens or token in opened.get_added_vocab() for token in reread.specials)
    if "chatml" in kind:
        assert not set(CHAT_TOKENS) & set(reread.specials)


def network_that_ends(tokenizer: Tokenizer, family: str) -> tuple[GPT, ModelConfig]:
    """Loud random weights that write something, and in the place of their fifth token the one that ends an answer."""
    model = ModelConfig(family=family, vocab_size=tokenizer.vocab_size, tie_word_embeddings=False, **SHAPE)  # type: ignore[arg-type]
    network = build_network(model, 5).eval()
    generator = torch.Generator().manual_seed(5)
    written = chat_format(tokenizer)
    assert written is not None
    with torch.no_grad():
        for parameter, weight in network.named_parameters():
            scale = parameter.endswith("weight") and "norm" in parameter
            weight.normal_(1.0 if scale else 0.0, 0.3, generator=generator)
    messages = [Message("system", "the mat"), Message("user", "the cat")]
    asked = dialogue_prompt(tokenizer, messages, model.n_positions, 5)
    *_, fifth = Generator(network, tokenizer).stream(asked.ids, SampleConfig(temperature=0, max_new_tokens=5))
    assert network.head is not None and fifth.token_id is not None
    with torch.no_grad():
        network.head.weight[written.end_id] = 1.05 * network.head.weight[fifth.token_id]
    return network, model


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "llama"])
@pytest.mark.parametrize("kind", ["char", "bpe", "chatml", "extended"])
def test_greedy_answers_are_ours_and_end_by_themselves(
    kind: str, family: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    network, model = network_that_ends(tokenizer, family)
    folder = tmp_path / "model"
    folder.mkdir()
    write_model_folder(folder, network, model, tokenizer, sample=SampleConfig(temperature=0, max_new_tokens=40))
    opened, their_network = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    loaded = read_model_folder(folder)
    greedy = SampleConfig(temperature=0, max_new_tokens=40, seed=1)
    ended = 0
    for question in ("the cat", "12 1234!!", "naïve 漢字", "they'LL\naaa", "a hat, the mat"):
        messages = in_turns([Message("system", "the mat"), Message("user", question)])
        prompt = dialogue_prompt(loaded.tokenizer, messages, model.n_positions, greedy.max_new_tokens)
        pieces = list(Generator.of(loaded).stream(prompt.ids, greedy))
        asked = theirs(opened, messages, answer_next=True)
        assert prompt.ids == asked
        given = torch.tensor([asked])
        made = their_network.generate(given, attention_mask=torch.ones_like(given))[0, len(asked) :].tolist()
        assert made == [piece.token_id for piece in pieces]
        ended += pieces[-1].finished == "eot"
        assert (pieces[-1].finished == "eot") == (len(made) < 40 or made[-1] in loaded_ends(loaded.tokenizer))
    assert ended, "none of them ends, so that nothing was tested"


def loaded_ends(tokenizer: Tokenizer) -> frozenset[int]:
    written = chat_format(tokenizer)
    assert written is not None
    return written.end_ids


@pytest.mark.parametrize("kind", ["char", "bpe", "chatml"])
def test_the_pipeline_answers_messages(kind: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    network, model = network_that_ends(tokenizer, "qwen3")
    folder = tmp_path / "model"
    folder.mkdir()
    write_model_folder(folder, network, model, tokenizer, sample=SampleConfig(temperature=0, max_new_tokens=30))
    answer = pipeline("text-generation", model=str(folder))
    loaded = read_model_folder(folder)
    said = [
        Message("system", "the mat"),
        Message("user", "the cat"),
        Message("assistant", "aaa"),
        Message("user", "12"),
    ]
    [made] = answer([{"role": role, "content": content} for role, content in said])
    prompt = dialogue_prompt(loaded.tokenizer, said, model.n_positions, 30)
    pieces = Generator.of(loaded).stream(prompt.ids, SampleConfig(temperature=0, max_new_tokens=30, seed=1))
    assert made["generated_text"][-1] == {"role": "assistant", "content": "".join(piece.text for piece in pieces)}


def test_more_tokens_behind_gaps_are_refused(tmp_path: Path) -> None:
    tokenizer = foreign(tmp_path / "foreign", chatml=False)
    fast = json.loads((tmp_path / "foreign" / "tokenizer.json").read_bytes())
    fast["added_tokens"][-1]["id"] += 7
    (tmp_path / "foreign" / "tokenizer.json").write_text(json.dumps(fast), encoding="utf-8")
    gapped = load_tokenizer(tmp_path / "foreign")
    assert gapped.vocab_size > tokenizer.vocab_size
    with pytest.raises(ModelError, match="has gaps among its ids"):
        with_chat(gapped)


@pytest.mark.parametrize("kind", ["chatml of its own template", "plain"])
def test_a_model_made_elsewhere_learns_conversations_by_its_own_tokens(
    kind: str, scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    own = "{# not ours #}" + CHATML_TEMPLATE if kind != "plain" else None
    tokenizer = foreign(tmp_path / "foreign", chatml=kind != "plain", template=own)
    model = ModelConfig(family="qwen3", vocab_size=tokenizer.vocab_size + 10, **SHAPE)  # type: ignore[arg-type]
    write_model_folder(tmp_path / "foreign", build_network(model, 1), model, tokenizer)
    (tmp_path / "foreign" / "generation_config.json").unlink()
    import_model(str(tmp_path / "foreign"), name="elsewhere")
    talks = write_talks(tmp_path / "talks.jsonl", rounds=2)
    run = begin_run(tiny(talks, max_steps=3, sample_tokens=0), "on", origin="elsewhere")
    assert scene.train_here(run) == 0, last_words(run)
    folder = ModelHandler().load("on")
    loaded, opened = read_model_folder(folder), AutoTokenizer.from_pretrained(folder)
    assert loaded.config.vocabulary == tokenizer.vocab_size + 10, "padding has room for four tokens more"
    assert loaded.tokenizer.chat_template == (CHATML_TEMPLATE if own else TEMPLATE)
    assert set(loaded.tokenizer.specials) - set(tokenizer.specials) == (set() if own else set(CHAT_TOKENS))
    said = [Message("system", "the mat"), Message("user", "naïve 漢字\n\n12"), Message("assistant", "they'LL")]
    assert ours(loaded.tokenizer, said, answer_next=True) == theirs(opened, said, answer_next=True)
    written = json.loads((folder / "generation_config.json").read_bytes())
    ends = written["eos_token_id"]
    assert loaded_ends(loaded.tokenizer) <= set(ends)
    # As a chat format it is the same when it is trained on.
    assert with_chat(loaded.tokenizer) is loaded.tokenizer
