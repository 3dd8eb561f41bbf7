"""Streaming: whole characters, stop texts, seeds, samples, cancelling; cached and uncached writing are the same."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from tui_gpt.core.config import ModelConfig, SampleConfig
from tui_gpt.core.errors import CorpusError, ModelError
from tui_gpt.engine.generation import stream as stream_module
from tui_gpt.engine.generation.stopping import StopFilter
from tui_gpt.engine.generation.stream import Generator, Piece, generate_text
from tui_gpt.engine.generation.windows import window_start
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.tokenizer import Tokenizer

ALPHABET = "\n abcdefghijklmnopqrstuvwxyz.,"
CHARACTERS = CharTokenizer(ALPHABET)
BYTES = train_bpe([ALPHABET], 257)


def loud(family: str, tokenizer: Tokenizer = CHARACTERS, *, n_positions: int = 24, **shape: Any) -> GPT:
    model = ModelConfig(
        family=family,  # type: ignore[arg-type]
        vocab_size=tokenizer.vocab_size,
        n_positions=n_positions,
        n_embd=24,
        n_layer=2,
        n_head=4,
        **shape,
    )
    network = build_network(model, 11).eval()
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.3, generator=generator)
    return network


class ScriptedNetwork(GPT):
    """A real network but for its last step: after n tokens it is certain of `script[n]`."""

    def __init__(self, script: list[int], tokenizer: Tokenizer) -> None:
        super().__init__(ModelConfig(vocab_size=tokenizer.vocab_size, n_positions=512, n_embd=4, n_head=1, n_layer=1))
        self.script = script

    @torch.no_grad()
    def next_logits(self, ids: torch.Tensor, cache: Any = None) -> torch.Tensor:
        start = 0 if cache is None else cache.length
        self.hidden(ids, cache)
        logits = torch.zeros(ids.size(0), self.config.vocabulary)
        logits[:, self.script[start + ids.size(1)]] = 50.0
        return logits

    def decoder(self, precision: Any = "float32") -> Any:
        return ScriptedDecoder(self)


class ScriptedDecoder:
    def __init__(self, network: ScriptedNetwork) -> None:
        self.network = network

    def next_logits(self, ids: torch.Tensor, cache: Any) -> torch.Tensor:
        return self.network.next_logits(ids.unsqueeze(1), cache)


def scripted(text: str, tokenizer: Tokenizer = BYTES) -> Generator:
    ids = tokenizer.encode(text)
    return Generator(ScriptedNetwork([*ids, *[ids[-1]] * 500], tokenizer), tokenizer)


def joined(pieces: list[Piece], sample: int = 0) -> str:
    return "".join(p.text for p in pieces if p.sample == sample)


@pytest.mark.parametrize("n_positions", [2, 3, 24])
@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_greedy_with_cache_equals_greedy_without_beyond_the_context(family: str, n_positions: int) -> None:
    generator = Generator(loud(family, n_positions=n_positions), CHARACTERS)
    config = SampleConfig(temperature=0, max_new_tokens=3 * 24, repetition_penalty=1.3)
    cached = list(generator.stream("the fox", config))
    uncached = list(generator.stream("the fox", config, use_cache=False))
    assert [p.token_id for p in cached] == [p.token_id for p in uncached]
    assert len({p.token_id for p in cached}) > 3
    for one, other in zip(cached, uncached, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_each_token_is_the_likeliest_of_what_the_window_shows(family: str) -> None:
    network = loud(family)
    prompt = CHARACTERS.encode("a long beginning that is more than the context holds")
    pieces = list(Generator(network, CHARACTERS).stream(prompt, SampleConfig(temperature=0, max_new_tokens=60)))
    ids = list(prompt)
    for piece in pieces:
        window = torch.tensor([ids[window_start(len(ids), 24) :]])
        with torch.inference_mode():
            logprobs = network(window)[0, -1].log_softmax(-1)
        assert piece.token_id == logprobs.argmax()
        assert piece.logprob == pytest.approx(logprobs.max().item(), abs=1e-3)
        ids.append(piece.token_id)


@pytest.mark.parametrize("n_positions", [2, 3, 4, 5, 64])
def test_windows_hold_at_most_a_context_at_least_half_and_move_only_when_full(n_positions: int) -> None:
    starts = [window_start(n, n_positions) for n in range(1, 6 * n_positions)]
    for n, start in enumerate(starts, 1):
        assert n - start <= n_positions
        assert start == 0 or n - start > n_positions - max(1, n_positions // 2)
        assert start % (n_positions // 2) == 0
    assert starts == sorted(starts)
    assert window_start(n_positions, n_positions) == 0


def test_an_emoji_arrives_whole() -> None:
    text = "a 🦊 and 👨‍👩‍👧 café"
    assert len(BYTES.encode(text)) > len(text)
    generator = scripted(text)
    pieces = list(generator.stream("a", SampleConfig(temperature=0, max_new_tokens=len(BYTES.encode(text)) - 1)))
    assert joined(pieces) == text[1:]
    assert not any("\N{REPLACEMENT CHARACTER}" in p.text for p in pieces)
    assert "🦊" in [p.text for p in pieces]


def test_half_an_emoji_at_the_end_is_marked_as_such() -> None:
    pieces = list(scripted("a🦊").stream("a", SampleConfig(temperature=0, max_new_tokens=2)))
    assert [p.text for p in pieces] == ["", "\N{REPLACEMENT CHARACTER}"]
    assert pieces[-1].finished == "length"


@pytest.mark.parametrize("stop", [(" END",), ("ND of", " END"), ("🦊",), ("x", " END of it")])
def test_a_stop_text_across_tokens_ends_the_sample_and_is_left_out(stop: tuple[str, ...]) -> None:
    text = "once there was EN EN END of it 🦊 and more"
    config = SampleConfig(temperature=0, max_new_tokens=300, stop=stop)
    pieces = list(scripted(text).stream("once", config))
    expected = min((text[4 : text.index(s)] for s in stop if s in text), key=len)
    if stop == ("ND of", " END"):
        expected = text[4 : text.index(" END")]  # it is complete first
    assert joined(pieces) == expected
    assert [p.finished for p in pieces] == [None] * (len(pieces) - 1) + ["stop"]


def test_text_held_back_for_a_stop_text_comes_when_the_sample_ends() -> None:
    config = SampleConfig(temperature=0, max_new_tokens=6, stop=("defgh",))
    pieces = list(scripted("abcdefg").stream("a", config))
    assert [p.text for p in pieces] == ["b", "c", "", "", "", "defg"]
    assert pieces[-1].finished == "length"


def test_where_text_is_cut_makes_no_difference_to_the_stop_filter() -> None:
    text, stops = "aabaabaaab abcd bc aab", ("aaab ", "bcd", "abcde", "cd b")
    results = set()
    for cuts in itertools.product([False, True], repeat=8):
        positions = [0, *(2 * i + 3 for i, cut in enumerate(cuts) if cut), len(text)]
        stop_filter, shown = StopFilter(stops), ""
        for begin, end in itertools.pairwise(positions):
            shown += stop_filter.push(text[begin:end])
            if stop_filter.stopped:
                break
        results.add((shown, stop_filter.stopped))
    assert results == {("aabaab", True)}


def test_the_end_of_text_token_ends_the_sample_without_showing() -> None:
    ids = [*BYTES.encode("one two"), BYTES.eot_id or 0, *BYTES.encode("three")]
    pieces = list(Generator(ScriptedNetwork(ids, BYTES), BYTES).stream("o", SampleConfig(temperature=0)))
    assert joined(pieces) == "ne two"
    assert (pieces[-1].finished, pieces[-1].token_id) == ("eot", BYTES.eot_id)


def test_cancelling_midway_ends_every_sample_at_once_and_keeps_what_was_written() -> None:
    generator = Generator(loud("gpt2"), CHARACTERS)
    calls = itertools.count()
    config = SampleConfig(seed=1, n_samples=3, max_new_tokens=1000)
    pieces = list(generator.stream("a", config, cancelled=lambda: next(calls) >= 5))
    assert [p.finished for p in pieces] == [None] * 15 + ["cancelled"] * 3
    assert pieces[-1].token_id is None
    whole = list(generator.stream("a", config, cancelled=lambda: False))
    assert joined(whole, 1).startswith(joined(pieces, 1))


def test_a_seed_repeats_and_without_one_a_new_one_is_told() -> None:
    generator = Generator(loud("qwen3"), CHARACTERS)
    seeded = SampleConfig(seed=7, temperature=1.0, max_new_tokens=60)
    assert joined(list(generator.stream("a", seeded))) == joined(list(generator.stream("a", seeded)))
    free = SampleConfig(temperature=1.0, max_new_tokens=60)
    first, second = generator.stream("a", free), generator.stream("a", free)
    assert first.seed != second.seed
    text = joined(list(first))
    assert text != joined(list(second))
    again = SampleConfig(seed=first.seed, temperature=1.0, max_new_tokens=60)
    assert joined(list(generator.stream("a", again))) == text


@pytest.mark.parametrize("width", [1, 2, 64])
@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_a_sample_is_the_same_however_many_are_written_together(
    family: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_BATCH_MAX", width)
    network = loud(family)
    config = SampleConfig(seed=3, n_samples=5, max_new_tokens=70, temperature=1.0, stop=("q",), repetition_penalty=1.1)
    texts = generate_text(network, CHARACTERS, "so it was ", config)
    assert len(set(texts)) == 5
    monkeypatch.setattr(stream_module, "_BATCH_MAX", 64)
    fewer = generate_text(network, CHARACTERS, "so it was ", SampleConfig(**{**fields(config), "n_samples": 2}))
    assert texts[:2] == fewer


def fields(config: SampleConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__struct_fields__}


def test_samples_take_turns_and_each_says_once_why_it_ends() -> None:
    config = SampleConfig(seed=2, n_samples=4, max_new_tokens=50, temperature=1.0, stop=("e", "q"))
    pieces = list(Generator(loud("gpt2"), CHARACTERS).stream("b", config))
    assert [p.sample for p in pieces[:4]] == [0, 1, 2, 3]
    for sample in range(4):
        own = [p for p in pieces if p.sample == sample]
        assert [p.finished is not None for p in own] == [False] * (len(own) - 1) + [True]
        assert not set("eq") & set(joined(pieces, sample))


@pytest.mark.parametrize(
    ("tokenizer", "first"),
    [(BYTES, BYTES.eot_id), (CHARACTERS, CHARACTERS.encode("\n")[0]), (CharTokenizer("xyz"), 0)],
)
def test_an_empty_prompt_begins_where_a_text_begins(tokenizer: Tokenizer, first: int) -> None:
    stream = Generator(loud("gpt2", tokenizer), tokenizer).stream("", SampleConfig(max_new_tokens=5, temperature=0))
    assert stream.prompt_ids == [first]
    assert list(stream)[-1].finished in ("length", "eot")


def test_a_prompt_that_cannot_be_encoded_is_an_error_before_anything_is_written() -> None:
    generator = Generator(loud("gpt2"), CHARACTERS)
    with pytest.raises(CorpusError, match="🦊"):
        generator.stream("a 🦊", SampleConfig())
    for bad in (-1, CHARACTERS.vocab_size):
        with pytest.raises(ModelError, match=f"token id {bad} is outside the vocabulary"):
            generator.stream([0, bad], SampleConfig())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_numbers_are_an_error(value: float) -> None:
    network = loud("gpt2")
    with torch.no_grad():
        network.final_norm.bias.fill_(value)
    with pytest.raises(ModelError, match="not finite"):
        list(Generator(network, CHARACTERS).stream("a", SampleConfig(max_new_tokens=3)))


def test_words_that_only_pad_the_vocabulary_are_never_drawn() -> None:
    network = loud("gpt2", CharTokenizer(ALPHABET + "ABCDEFGHIJ"))
    pieces = list(
        Generator(network, CHARACTERS).stream("a", SampleConfig(temperature=100.0, max_new_tokens=300, seed=1))
    )
    assert all(p.token_id is not None and p.token_id < CHARACTERS.vocab_size for p in pieces)


def test_a_network_in_training_stays_so_between_pieces_yet_writes_without_dropout() -> None:
    network = loud("gpt2", dropout=0.5)
    config = SampleConfig(temperature=0, max_new_tokens=40)
    calm = generate_text(network, CHARACTERS, "ab", config)
    network.train()
    stream = Generator(network, CHARACTERS).stream("ab", config)
    text = ""
    for piece in stream:
        assert network.training
        assert not torch.is_inference_mode_enabled()
        text += piece.text
    assert [text] == calm
    network(torch.tensor([[1, 2]])).sum().backward()  # and it can learn on
