"""The form of a run that continues a model: what is known of the model's own text goes with that text."""

from __future__ import annotations

from typing import Any

from tui_gpt.ui.configure.form_state import FormState

KNOWN: dict[str, dict[str, Any]] = {
    "model": {"vocab_size": 100, "n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 16},
    "data": {"corpus": "conversations", "form": "conversations", "corpus_megabytes": 20.0, "tokenizer": "bpe"},
}


def test_how_the_models_text_was_read_goes_with_that_text() -> None:
    state = FormState()
    state.continue_from("talker", KNOWN)
    assert state.texts["data.form"] == "conversations"
    new = state.for_another_text()
    assert new["data.form"] == "auto" and new["data.corpus_megabytes"] == state.base["data.corpus_megabytes"]
    # The tokenizer comes with the model, whatever the text.
    assert "data.tokenizer" not in new
    assert state.for_another_text() == {}


def test_what_a_person_has_said_of_the_text_stays() -> None:
    state = FormState()
    state.continue_from("talker", KNOWN)
    state.set("data.corpus_megabytes", "5")
    assert "data.corpus_megabytes" not in state.for_another_text()
