"""Text, token by token, from a network and its tokenizer."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
import torch
from torch import Tensor

from tui_gpt.core.config import ModelConfig, SampleConfig, WritingPrecision
from tui_gpt.core.errors import ModelError
from tui_gpt.engine.generation.sampling import choose, sample_generator
from tui_gpt.engine.generation.stopping import StopFilter
from tui_gpt.engine.generation.windows import window_start
from tui_gpt.engine.network import GPT, KVCache
from tui_gpt.engine.network.decoding import Decoder
from tui_gpt.engine.network.native_decoding import NativeDecoder
from tui_gpt.engine.text.dialogues.chat_format import end_ids
from tui_gpt.engine.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tui_gpt.engine.interop.huggingface import LoadedModel

Reason = Literal["eot", "stop", "length", "cancelled"]

# Samples are written side by side as long as their caches and activations stay within this many bytes.
_BATCH_BYTES = 512 << 20
_BATCH_MAX = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """What one token adds to one sample."""

    text: str
    """Text ready to show; empty while the rest of a character, or of a possible stop text, is awaited."""
    token_id: int | None
    """None in the last piece of a cancelled sample, which belongs to no token."""
    sample: int
    logprob: float | None
    """Natural logarithm of the model's own probability of the token, before temperature and the like."""
    finished: Reason | None = None
    """Why the sample ends; set in exactly one piece of each sample, its last."""


class Stream(Iterator[Piece]):
    """The pieces of all samples, and the seed that draws them again."""

    def __init__(self, seed: int, prompt_ids: list[int], pieces: Iterator[Piece]) -> None:
        self.seed = seed
        self.prompt_ids = prompt_ids
        self._pieces = pieces

    def __next__(self) -> Piece:
        return next(self._pieces)


class Generator:
    """Writes text with a network, which may be in training mode: it leaves that during each step only."""

    def __init__(self, network: GPT, tokenizer: Tokenizer, precision: WritingPrecision = "float32") -> None:
        """Below float32, the prompt is read with the network's own weights and the text written with a smaller copy of
        them, as they are now. Raises ConfigError where their device cannot compute in `precision`."""
        self.network = network
        self.tokenizer = tokenizer
        self._packed = None if precision == "float32" else network.decoder(precision)

    @classmethod
    def of(cls, loaded: LoadedModel, precision: WritingPrecision = "float32") -> Generator:
        """A generator for a model that was read from its folder. Raises ConfigError."""
        return cls(loaded.network, loaded.tokenizer, precision)

    def stream(
        self,
        prompt: str | Sequence[int],
        config: SampleConfig,
        *,
        cancelled: Callable[[], bool] | None = None,
        use_cache: bool = True,
    ) -> Stream:
        """Continue `prompt`, a text or token ids, piece by piece; the samples of a batch take turns.

        A sample is a function of seed and number, up to rounding that differs with the batch. `cancelled` is asked
        before each step. Of a prompt longer than the context the end is seen (`windows`). Raises CorpusError for text
        that the tokenizer cannot encode and ModelError for ids outside the vocabulary; while iterating, ModelError for
        logits that are not numbers.
        """
        seed = secrets.randbits(48) if config.seed is None else config.seed
        ids = self._prompt_ids(prompt)
        return Stream(seed, ids, self._all_samples(ids, config, seed, cancelled or _never, use_cache))

    def _prompt_ids(self, prompt: str | Sequence[int]) -> list[int]:
        ids = self.tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)
        vocabulary = self.network.config.vocabulary
        for token in ids:
            if not 0 <= token < vocabulary:
                raise ModelError(f"the prompt's token id {token} is outside the vocabulary of {vocabulary} tokens")
        return ids or [self._first_id()]

    def _first_id(self) -> int:
        """What an empty prompt begins with: the end of the text before, or an empty line, or whatever there is."""
        if self.tokenizer.eot_id is not None:
            return self.tokenizer.eot_id
        newline = (i for i in range(self.tokenizer.vocab_size) if self.tokenizer.token_bytes(i) == b"\n")
        return next(newline, 0)

    def _all_samples(
        self, prompt: list[int], config: SampleConfig, seed: int, cancelled: Callable[[], bool], use_cache: bool
    ) -> Iterator[Piece]:
        width = _batch_width(self.network.config, len(prompt) + config.max_new_tokens)
        for first in range(0, config.n_samples, width):
            numbers = range(first, min(first + width, config.n_samples))
            samples = [_Sample(number, prompt, self.tokenizer, config, seed) for number in numbers]
            yield from self._together(samples, config, cancelled, use_cache)

    def _together(
        self, samples: list[_Sample], config: SampleConfig, cancelled: Callable[[], bool], use_cache: bool
    ) -> Iterator[Piece]:
        """Samples of one prompt, which therefore have the same length at every step."""
        longest = len(samples[0].ids) + config.max_new_tokens
        # The network's own weights may be other ones at the next stream.
        decoder = self._packed or self.network.decoder()
        reader = _Reader(self.network, decoder, self.tokenizer.vocab_size, longest, use_cache)
        batch = samples
        for step in range(config.max_new_tokens):
            alive = [s for s in samples if not s.finished]
            if not alive:
                return
            if cancelled():
                yield from (s.cancel() for s in alive)
                return
            if 2 * len(alive) <= len(batch):  # reading the survivors anew costs less than carrying the finished along
                batch = alive
                reader.forget()
            with _evaluating(self.network):
                logits = reader.next_logits([s.ids for s in batch])
                chosen, logprobs = self._choose(logits, batch, config)
            last = step == config.max_new_tokens - 1
            for sample, token, logprob in zip(batch, chosen, logprobs, strict=True):
                piece = sample.add(token, logprob, last=last)
                if piece is not None:
                    yield piece

    def _choose(self, logits: Tensor, batch: list[_Sample], config: SampleConfig) -> tuple[list[int], list[float]]:
        total = logits.logsumexp(dim=-1)
        if not bool(torch.isfinite(total).all()):
            raise ModelError(
                "the model's logits are not finite numbers; its weights are damaged or its training diverged"
            )
        seen = None
        if config.repetition_penalty != 1:
            start = window_start(len(batch[0].ids), self.network.config.n_positions)
            seen = torch.tensor([s.ids[start:] for s in batch], device=logits.device)
        chosen = choose(logits, seen, config, [s.chance for s in batch])
        picked = logits.gather(1, torch.tensor(chosen, device=logits.device).unsqueeze(1)).squeeze(1)
        return chosen, (picked - total).tolist()


class _Sample:
    """One continuation as it grows."""

    def __init__(self, number: int, prompt: list[int], tokenizer: Tokenizer, config: SampleConfig, seed: int) -> None:
        self.number = number
        self.ids = list(prompt)
        self.chance = sample_generator(seed, number)
        self.finished = False
        self._ends = end_ids(tokenizer)
        self._decoder = tokenizer.stream_decoder()
        self._stops = StopFilter(config.stop)

    def add(self, token: int, logprob: float, *, last: bool) -> Piece | None:
        """What `token` adds; None after the end, when the batch still carries the row along."""
        self.ids.append(token)
        if self.finished:
            return None
        if token in self._ends:
            return self._end(token, logprob, "eot")
        text = self._stops.push(self._decoder.push(token))
        if self._stops.stopped:
            self.finished = True
            return Piece(text, token, self.number, logprob, "stop")
        if last:
            return self._end(token, logprob, "length", text)
        return Piece(text, token, self.number, logprob)

    def cancel(self) -> Piece:
        return self._end(None, None, "cancelled")

    def _end(self, token: int | None, logprob: float | None, reason: Reason, text: str = "") -> Piece:
        """The last piece, with all that was held back."""
        self.finished = True
        text += self._stops.push(self._decoder.flush())
        if not self._stops.stopped:
            text += self._stops.flush()
        return Piece(text, token, self.number, logprob, reason)


class _Reader:
    """Feeds a batch of equally long texts to the network: only what is new, as long as the window stands."""

    def __init__(
        self, network: GPT, decoder: Decoder | NativeDecoder, vocab_size: int, longest: int, use_cache: bool
    ) -> None:
        self._network = network
        self._decoder = decoder
        self._vocab_size = vocab_size
        # Room for what can come, not for the whole context of a model that could read a book.
        self._room = min(network.config.n_positions, longest)
        self._use_cache = use_cache
        self._cache: KVCache | None = None
        self._start = 0

    def forget(self) -> None:
        """Read everything anew at the next step, because the batch changed."""
        self._cache = None

    def next_logits(self, texts: list[list[int]]) -> Tensor:
        """Logits (B, tokenizer's vocab_size) of the token after each of `texts`."""
        weight = self._network.token_embedding.weight
        n_tokens = len(texts[0])
        start = window_start(n_tokens, self._network.config.n_positions)
        if self._use_cache and (self._cache is None or start != self._start):
            self._start = start
            if self._cache is None:
                config = msgspec.structs.replace(self._network.config, n_positions=self._room)
                self._cache = KVCache(config, len(texts), dtype=weight.dtype, device=weight.device)
            else:
                self._cache.truncate(0)
        held = start if self._cache is None else start + self._cache.length
        if self._cache is not None and self._cache.length and held == n_tokens - 1:
            logits = self._decoder.next_logits(
                torch.tensor([text[-1] for text in texts], device=weight.device), self._cache
            )
        else:
            ids = torch.tensor([text[held:] for text in texts], device=weight.device)
            logits = self._network.next_logits(ids, self._cache)
        # A vocabulary padded for speed has words that the tokenizer does not know.
        return logits[:, : self._vocab_size]


def generate_text(network: GPT, tokenizer: Tokenizer, prompt: str | Sequence[int], config: SampleConfig) -> list[str]:
    """The whole continuations of `prompt`, one per sample, without it. Raises what `Generator.stream` raises."""
    texts = [""] * config.n_samples
    for piece in Generator(network, tokenizer).stream(prompt, config):
        texts[piece.sample] += piece.text
    return texts


@contextmanager
def _evaluating(network: GPT) -> Iterator[None]:
    """Inference mode, and the network in evaluation mode, for one step: nobody notices between two pieces."""
    training = network.training
    if training:
        network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if training:
            network.train()


def _batch_width(model: ModelConfig, longest: int) -> int:
    """How many samples fit side by side: caches, and the widest activations of reading a window, in float32."""
    window = min(model.n_positions, longest)
    cached = 2 * model.n_layer * model.kv_heads * model.head_size
    active = 2 * model.inner + 4 * model.n_embd
    each = 4 * (window * (cached + active) + model.vocabulary)
    return max(1, min(_BATCH_MAX, _BATCH_BYTES // each))


def _never() -> bool:
    return False
