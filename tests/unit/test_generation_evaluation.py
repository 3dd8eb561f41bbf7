"""Evaluation predicts every token but the first exactly once, as a plain loop would, and as transformers would."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

from tui_gpt.core.config import ModelConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.generation.evaluation import evaluate_text, evaluate_tokens
from tui_gpt.engine.interop.huggingface import read_model_folder, write_model_folder
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.char_tokenizer import CharTokenizer

P = 16


def network(vocab_size: int = 50, *, dropout: float = 0.0) -> GPT:
    model = ModelConfig(vocab_size=vocab_size, n_positions=P, n_embd=16, n_layer=2, n_head=2, dropout=dropout)
    built = build_network(model, 4)
    with torch.no_grad():
        for weight in built.parameters():
            weight.mul_(8)
    return built.eval()


def tokens(n: int, vocab_size: int = 50) -> np.ndarray:
    return np.random.default_rng(n).integers(vocab_size, size=n).astype(np.uint16)


@torch.no_grad()
def naive_losses(net: GPT, ids: np.ndarray) -> list[float]:
    """The loss of each token but the first, window after window."""
    losses: list[float] = []
    for start in range(0, len(ids) - 1, P):
        window = torch.tensor(ids[start : start + P + 1].astype(np.int64))
        losses += F.cross_entropy(net(window[None, :-1])[0], window[1:], reduction="none").tolist()
    return losses


@pytest.mark.parametrize("n", [2, 3, P, P + 1, P + 2, 10 * P, 10 * P + 1, 10 * P + 9])
@pytest.mark.parametrize("batch_tokens", [1, 3 * P, 10_000])
def test_the_whole_text_equals_a_plain_loop_over_windows(n: int, batch_tokens: int) -> None:
    net, ids = network(), tokens(n)
    expected = naive_losses(net, ids)
    result = evaluate_tokens(net, ids, batch_tokens=batch_tokens)
    assert result.n_tokens == len(expected) == n - 1
    assert result.loss == pytest.approx(sum(expected) / len(expected), rel=1e-5)


@pytest.mark.parametrize("max_tokens", [1, 5, P, 3 * P + 5, 9 * P, 10 * P + 8])
def test_a_part_of_the_text_is_whole_windows_from_all_over_it(max_tokens: int) -> None:
    net, ids = network(), tokens(10 * P + 9)
    losses = naive_losses(net, ids)
    result = evaluate_tokens(net, ids, max_tokens=max_tokens)
    assert result.n_tokens <= max_tokens
    wanted = max_tokens // P
    if max_tokens >= len(losses):
        chosen = losses
    elif not wanted:
        chosen = losses[:max_tokens]
    else:
        chosen = [x for j in range(wanted) for x in losses[j * 10 // wanted * P :][:P]]
    assert result.n_tokens == len(chosen)
    assert result.loss == pytest.approx(sum(chosen) / len(chosen), rel=1e-5)


def test_memory_mapped_tokens_and_progress(tmp_path: Path) -> None:
    ids = tokens(500)
    ids.tofile(tmp_path / "tokens.bin")
    mapped = np.memmap(tmp_path / "tokens.bin", dtype=np.uint16, mode="r")
    heard: list[tuple[int, int]] = []
    net = network()
    result = evaluate_tokens(net, mapped, batch_tokens=100, progress=lambda done, total: heard.append((done, total)))
    assert result == evaluate_tokens(net, ids, batch_tokens=100)
    assert heard[-1] == (499, 499)
    assert heard == sorted(heard)


def test_a_network_in_training_is_evaluated_without_dropout_and_put_back() -> None:
    net, ids = network(dropout=0.5), tokens(100)
    calm = evaluate_tokens(net, ids)
    net.train()
    assert evaluate_tokens(net, ids) == calm
    assert net.training


def test_too_few_tokens_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        evaluate_tokens(network(), tokens(1))


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_a_text_has_the_loss_that_transformers_computes(tmp_path: Path, kind: str) -> None:
    text = "Café 🦊 tales: a fox, a pie.\n"
    tokenizer = CharTokenizer(text) if kind == "char" else train_bpe([text], 270)
    net = network(tokenizer.vocab_size)
    write_model_folder(tmp_path, net, net.config, tokenizer)
    loaded = read_model_folder(tmp_path)
    short = text[:9]
    result = evaluate_text(loaded, short)
    ids = torch.tensor([tokenizer.encode(short)])
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.inference_mode():
        expected = theirs(ids, labels=ids).loss.item()
    assert result.loss == pytest.approx(expected, rel=1e-4)
    assert result.tokens == ids.numel() - 1
    assert result.bytes == len(short.encode()) - len(tokenizer.decode([int(ids[0, 0])]))
    assert result.perplexity == pytest.approx(math.exp(expected), rel=1e-3)
    assert result.bits_per_byte == pytest.approx(expected * result.tokens / math.log(2) / result.bytes, rel=1e-4)


def test_a_text_of_one_token_or_none_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    tokenizer = CharTokenizer("abc")
    net = network(3)
    write_model_folder(tmp_path, net, net.config, tokenizer)
    loaded = read_model_folder(tmp_path)
    for text in ("", "a"):
        with pytest.raises(CorpusError, match="at least 2"):
            evaluate_text(loaded, text)
    with pytest.raises(CorpusError, match="'z'"):
        evaluate_text(loaded, "abz")
