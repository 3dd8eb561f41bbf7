"""OpenAI's GPT-2, imported from the Hub: its published continuations, and the perplexity that transformers measures."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from transformers import AutoTokenizer, GPT2LMHeadModel

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.published import PUBLISHED
from tui_gpt.engine.generation.evaluation import evaluate_tokens
from tui_gpt.engine.generation.stream import Generator
from tui_gpt.engine.interop.huggingface import LoadedModel, read_model_folder
from tui_gpt.engine.interop.importing import import_model
from tui_gpt.engine.text.stories import generate_stories

# The first time, half a gigabyte is fetched.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

REPOSITORY = "openai-community/gpt2"
CONTEXT = 1024
N_WINDOWS = 3
DOG = "I enjoy walking with my cute dog"
DOG_GOES_ON = (
    ", but I'm not sure if I'll ever be able to walk with my dog."
    " I'm not sure if I'll ever be able to walk with my dog.\n\nI'm not sure"
)
"""As published in https://huggingface.co/blog/how-to-generate."""
LANGUAGE_MODEL = "Hello, I'm a language model,"
LANGUAGE_MODEL_GOES_ON = " not a programming language. I'm a language model. I'm a language model. I'm a language model"
"""What those report who brought these weights into programs of their own."""
# "The dog was found in a field near the intersection of West and West Streets.", from transformers' own test of GPT-2.
WEST_STREETS = [464, 3290, 373, 1043, 287, 257, 2214, 1474, 262, 16246, 286, 2688, 290, 2688, 27262, 13, 198, 198]


@pytest.fixture(scope="module")
def _hub() -> None:
    """A skip that says why, where the Hub is not to be had."""
    if constants.HF_HUB_OFFLINE:
        pytest.skip("the Hub is switched off (HF_HUB_OFFLINE), and the published GPT-2 comes from there")
    try:
        get_hf_file_metadata(hf_hub_url(REPOSITORY, "config.json"), timeout=5)
    except Exception as error:  # the HTTP library's, the client's, the system's
        pytest.skip(f"the Hub cannot be reached ({type(error).__name__}), and the published GPT-2 comes from there")


@pytest.fixture(scope="module")
def imported(_hub: None, tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    """GPT-2 in a library of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(tmp_path_factory.mktemp("home")))
        import_model(f"hub:{REPOSITORY}", "gpt2")
        assert ModelHandler().verify("gpt2") == []
        return ModelHandler().get("gpt2")


@pytest.fixture(scope="module")
def ours(imported: ModelEntry) -> LoadedModel:
    return read_model_folder(imported.folder)


@pytest.fixture(scope="module")
def theirs(imported: ModelEntry) -> Any:
    """The same commit as transformers itself fetches and reads it."""
    assert imported.record is not None and imported.record.parent is not None
    return GPT2LMHeadModel.from_pretrained(REPOSITORY, revision=imported.record.parent.rpartition("@")[2]).eval()


def continued(loaded: LoadedModel, prompt: str, max_new_tokens: int) -> str:
    settings = SampleConfig(temperature=0, max_new_tokens=max_new_tokens)
    return "".join(piece.text for piece in Generator.of(loaded).stream(prompt, settings))


def test_it_has_as_many_parameters_as_published(imported: ModelEntry, ours: LoadedModel) -> None:
    assert imported.record is not None
    assert imported.record.n_parameters == PUBLISHED["gpt2"].parameters
    assert (ours.tokenizer.kind, ours.config.n_positions) == ("gpt2", CONTEXT)


def test_it_goes_on_as_published(ours: LoadedModel) -> None:
    pieces = list(Generator.of(ours).stream(WEST_STREETS[:2], SampleConfig(temperature=0, max_new_tokens=16)))
    assert WEST_STREETS[:2] + [piece.token_id for piece in pieces] == WEST_STREETS
    for prompt, goes_on in ((DOG, DOG_GOES_ON), (LANGUAGE_MODEL, LANGUAGE_MODEL_GOES_ON)):
        assert continued(ours, prompt, len(ours.tokenizer.encode(goes_on))).startswith(goes_on)


def test_it_goes_on_as_in_transformers(imported: ModelEntry, ours: LoadedModel, theirs: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(imported.folder)
    for prompt in (DOG, LANGUAGE_MODEL, "The dog"):
        prompted = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            found = theirs.generate(**prompted, do_sample=False, max_new_tokens=100, pad_token_id=50_256)[0]
        assert prompt + continued(ours, prompt, 100) == tokenizer.decode(found, skip_special_tokens=True)


def test_its_perplexity_is_the_one_that_transformers_measures(ours: LoadedModel, theirs: Any) -> None:
    # The built-in stories are the same text everywhere.
    text = "\n\n".join(generate_stories(7, 0.06))
    tokens = ours.tokenizer.encode_array(text)[: N_WINDOWS * CONTEXT + 1]
    assert len(tokens) == N_WINDOWS * CONTEXT + 1
    perplexity = math.exp(evaluate_tokens(ours.network, tokens).loss)
    ids = torch.tensor(tokens.astype("int64"))
    total = 0.0
    with torch.inference_mode():
        for start in range(0, N_WINDOWS * CONTEXT, CONTEXT):
            logits = theirs(ids[None, start : start + CONTEXT]).logits[0]
            total += float(F.cross_entropy(logits, ids[start + 1 : start + CONTEXT + 1], reduction="sum"))
    assert perplexity == pytest.approx(math.exp(total / (N_WINDOWS * CONTEXT)), rel=1e-4)
    assert perplexity < 100, "GPT-2 knows English"
