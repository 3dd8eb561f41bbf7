"""What speaks: models in memory, and text from them piece by piece."""

from __future__ import annotations

import time

from tui_gpt.core.messages import Generate, Generated, Generating, Load, Loaded, WrittenPiece, Wrote
from tui_gpt.engine.session.lanes import Turn
from tui_gpt.engine.session.model_shelf import ModelShelf

FLUSH_SECONDS = 0.015
"""Pieces that come faster than this go together, so that a fast model does not flood the screen."""


class Speaker:
    """Answers Load and Generate, always in the same thread."""

    def __init__(self) -> None:
        self._shelf = ModelShelf()

    def warm_up(self) -> None:
        """Import what reading a model and writing need, which takes seconds, before anybody waits for it."""
        import tui_gpt.engine.generation.stream
        import tui_gpt.engine.interop.huggingface  # noqa: F401

    def load(self, request: Load, turn: Turn) -> Loaded:
        """Read a model. Raises what `load_reference` raises."""
        from tui_gpt.engine.text.dialogues.chat_format import chat_format

        began = time.perf_counter()
        opened = self._shelf.take(request.model, turn)
        source, loaded = opened.source, opened.loaded
        return Loaded(
            id=request.id,
            title=source.title,
            n_parameters=loaded.network.count_parameters(),
            n_positions=loaded.config.n_positions,
            vocab_size=loaded.tokenizer.vocab_size,
            step=source.step,
            val_loss=opened.val_loss,
            sample=source.sample_config,
            seconds=time.perf_counter() - began,
            speaks_turns=chat_format(loaded.tokenizer) is not None,
        )

    def generate(self, request: Generate, turn: Turn) -> Generated:
        """Write. Raises what `load_reference` and `Generator.stream` raise, and Cancellation after the last piece."""
        from tui_gpt.engine.generation.dialogue import dialogue_prompt
        from tui_gpt.engine.session.threads import use_threads
        from tui_gpt.engine.text.dialogues.chat_format import chat_format
        from tui_gpt.engine.text.dialogues.conversation import Message

        began = time.perf_counter()
        opened = self._shelf.take(request.model, turn)
        use_threads(opened.loaded.network)
        loaded = opened.loaded
        prompt: str | list[int] = request.prompt
        dropped = 0
        answers = bool(request.messages) and chat_format(loaded.tokenizer) is not None
        if answers:
            said = [Message(each.role, each.content) for each in request.messages]
            limit = request.settings.max_new_tokens
            asked = dialogue_prompt(loaded.tokenizer, said, loaded.config.n_positions, limit, opened.source.title)
            prompt, dropped = asked.ids, asked.dropped
        stream = opened.generator(request.precision).stream(prompt, request.settings, cancelled=turn.cancelled)
        turn.send(
            Generating(
                id=request.id,
                seed=stream.seed,
                prompt_tokens=len(stream.prompt_ids),
                title=opened.source.title,
                step=opened.source.step,
                answers=answers,
                dropped=dropped,
            )
        )
        outlet = _Outlet(turn)
        reasons = ["cancelled"] * request.settings.n_samples
        tokens, first = 0, 0.0
        for piece in stream:
            outlet.add(
                WrittenPiece(sample=piece.sample, text=piece.text, token_id=piece.token_id, logprob=piece.logprob)
            )
            tokens += piece.token_id is not None
            first = first or time.perf_counter() - began
            if piece.finished is not None:
                reasons[piece.sample] = piece.finished
        outlet.flush()
        turn.check()
        seconds = time.perf_counter() - began
        return Generated(id=request.id, tokens=tokens, seconds=seconds, first_token_seconds=first, reasons=reasons)


class _Outlet:
    """Sends pieces: the first one at once, later ones together with what came at nearly the same time."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._pieces: list[WrittenPiece] = []
        self._sent = 0.0

    def add(self, piece: WrittenPiece) -> None:
        self._pieces.append(piece)
        if time.monotonic() - self._sent >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._pieces:
            self._turn.send(Wrote(id=self._turn.request.id, pieces=self._pieces))
            self._pieces = []
        self._sent = time.monotonic()
