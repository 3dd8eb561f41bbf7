"""The configuration of a run: one definition behind the form, the help, the command line and the file.

Every field carries its bounds and its explanation as `msgspec.Meta`. Bounds are checked on conversion
(`core.config_loading`); what concerns several fields at once is in `problems`. Field names of the model are GPT-2's
own (`n_embd`, `n_layer`, ...), as in `transformers.GPT2Config`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tui_gpt.core.corpus_shares import corpus_shares
from tui_gpt.core.errors import ConfigError

Family = Literal["gpt2", "qwen3", "llama"]
WritingPrecision = Literal["float32", "bf16", "int8"]
"""What weights are kept in while text is written."""

SHORTEST_CONTEXT = 2
LARGEST_LEARNING_RATE = 10
N_CHAT_TOKENS = 4
"""What a tokenizer gets to write conversations with: three roles, and the end of a message."""
LEAST_EPSILON = 1e-20
"""An epsilon keeps a division from 0 / 0 in float32, where squares below 1e-45 are 0 and so is an epsilon of 1e-46."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a configuration: immutable, named arguments only, unknown keys refused."""


class ModelConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shape of the network."""

    family: Annotated[
        Family,
        Meta(
            description="Architecture: gpt2 (LayerNorm, learned positions, GELU, biases), qwen3 (RMSNorm, rotary "
            "positions, SwiGLU, grouped-query attention, query and key norms) or llama (qwen3 without those norms)."
        ),
    ] = "gpt2"
    vocab_size: Annotated[
        Annotated[int, Meta(ge=2, le=2_000_000)] | None,
        Meta(description="Number of tokens the model knows. Left out, it is the tokenizer's."),
    ] = None
    n_positions: Annotated[
        int,
        Meta(
            ge=SHORTEST_CONTEXT, le=1_048_576, description="Context length in tokens: how far back the model can see."
        ),
    ] = 256
    n_embd: Annotated[int, Meta(ge=2, le=65_536, description="Width: numbers per token between the blocks.")] = 256
    n_layer: Annotated[int, Meta(ge=1, le=512, description="Number of blocks (attention, then MLP).")] = 4
    n_head: Annotated[int, Meta(ge=1, le=1024, description="Attention heads per block; must divide n_embd.")] = 4
    n_kv_head: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | None,
        Meta(description="Heads for keys and values (qwen3, llama); must divide n_head. Left out: n_head."),
    ] = None
    head_dim: Annotated[
        Annotated[int, Meta(ge=2, le=4096)] | None,
        Meta(description="Numbers per head (qwen3, llama; even). Left out: n_embd / n_head."),
    ] = None
    n_inner: Annotated[
        Annotated[int, Meta(ge=1, le=1_048_576)] | None,
        Meta(
            description="Width inside the MLP. Left out: 4 n_embd for gpt2; 8/3 n_embd, up to a multiple of 32, "
            "for the others."
        ),
    ] = None
    layer_norm_epsilon: Annotated[
        float,
        Meta(
            gt=LEAST_EPSILON,
            le=0.1,
            description="Added to the variance inside each norm so that nothing divides by zero.",
        ),
    ] = 1e-5
    rope_theta: Annotated[
        float, Meta(ge=1, le=1e9, description="Base of the rotary positions' wavelengths (qwen3, llama).")
    ] = 10_000.0
    tie_word_embeddings: Annotated[
        bool, Meta(description="Use one matrix for the token embedding and for the output head.")
    ] = True
    dropout: Annotated[
        float,
        Meta(ge=0, lt=1, description="Share of activations zeroed while training (embedding, attention, residual)."),
    ] = 0.0

    @property
    def inner(self) -> int:
        """Width inside the MLP, resolved."""
        if self.n_inner is not None:
            return self.n_inner
        return 4 * self.n_embd if self.family == "gpt2" else -(-8 * self.n_embd // 3 // 32) * 32

    @property
    def kv_heads(self) -> int:
        """Heads for keys and values, resolved."""
        return self.n_kv_head or self.n_head

    @property
    def head_size(self) -> int:
        """Numbers per head, resolved."""
        return self.head_dim or self.n_embd // self.n_head

    @property
    def vocabulary(self) -> int:
        """`vocab_size`, which must be known by now; raises ValueError when it still depends on a tokenizer."""
        if self.vocab_size is None:
            raise ValueError("model.vocab_size is not known before the corpus has a tokenizer")
        return self.vocab_size


class DataConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text to learn from, and how it becomes tokens."""

    corpus: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4096,
            description="A corpus of the catalogue by name, hub:owner/name:split:column for a data set of the Hugging "
            "Face Hub, or the path of a file or a folder.",
        ),
    ] = "stories"
    mix: Annotated[
        tuple[Annotated[str, Meta(min_length=3, max_length=4200)], ...],
        Meta(
            max_length=15,
            description="Further corpora, each as CORPUS=SHARE: its share of the sequences of every step, above 0 and "
            "below 1. The corpus above gets what they leave.",
        ),
    ] = ()
    corpus_megabytes: Annotated[
        float,
        Meta(ge=0.01, le=1000, description="How much text a generated corpus (stories) makes, in millions of bytes."),
    ] = 8.0
    tokenizer: Annotated[
        Literal["auto", "char", "bpe", "gpt2"],
        Meta(
            description="char: one token per character; bpe: byte-level BPE trained on this corpus; gpt2: GPT-2's own "
            "50257 tokens; auto: what suits the corpus."
        ),
    ] = "auto"
    bpe_vocab_size: Annotated[
        int, Meta(ge=257, le=200_000, description="Tokens in a BPE trained on the corpus, special tokens included.")
    ] = 1024
    validation_fraction: Annotated[
        float, Meta(gt=0, le=0.5, description="Share at the end of the text that is kept for validation.")
    ] = 0.1
    encoding: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=40,
            description="Encoding of the text files; auto: by byte-order mark, UTF-8 without one.",
        ),
    ] = "auto"
    errors: Annotated[
        Literal["strict", "replace"],
        Meta(description="Bytes that do not decode: strict stops and says where, replace puts U+FFFD in their place."),
    ] = "strict"
    form: Annotated[
        Literal["auto", "text", "conversations"],
        Meta(
            description="text: all of it is learned; conversations: the answers in it are, and the model speaks in "
            "turns; auto: conversations where a table has them in one of the usual forms."
        ),
    ] = "auto"
    column: Annotated[
        str,
        Meta(
            max_length=200,
            description="The column of a table (JSON Lines, CSV, Parquet) that is learned from, a row as a document. "
            "Empty: text, else content, else the only column of text.",
        ),
    ] = ""
    separator: Annotated[
        str,
        Meta(
            max_length=200,
            description="Text at which the documents of a plain text file part, e.g. <|endoftext|>; it is left out, "
            "with the line ends around it. Empty: a file is one document.",
        ),
    ] = ""
    max_documents: Annotated[
        Annotated[int, Meta(ge=0, le=10**12)] | None,
        Meta(
            description="Learn from the first so many documents (stories, rows) and leave out the rest; 0: all of "
            "them. Left out: all, of tinystories 50,000."
        ),
    ] = None
    min_characters: Annotated[
        int,
        Meta(ge=0, le=10**9, description="Documents of fewer characters are left out, and counted; 0: none."),
    ] = 0
    clean: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="on mends broken quotes (â€œ), writes quotes, dashes and spaces as a typewriter does, takes "
            "out control characters and surplus spaces, and leaves out documents that break off within a sentence; "
            "auto: on for tinystories."
        ),
    ] = "auto"
    shuffle_seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**31 - 1)] | None,
        Meta(
            description="Shuffle the documents to train on with this seed, 10,000 at a time. Left out: they stay as "
            "they come, those of tinystories are shuffled with 1337."
        ),
    ] = None


class TrainConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the network learns. Exactly one of max_steps, max_epochs and max_minutes says when it ends."""

    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Seed of weights, batches and dropout.")] = 1337
    max_steps: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000_000)] | None, Meta(description="End after this many optimizer steps.")
    ] = None
    max_epochs: Annotated[
        Annotated[float, Meta(gt=0, le=1_000_000)] | None,
        Meta(description="End when the training text was seen this many times."),
    ] = None
    max_minutes: Annotated[
        Annotated[float, Meta(gt=0, le=525_600)] | None,
        Meta(
            description="End after this many minutes of training, evaluations included; the schedule follows the clock."
        ),
    ] = None
    batch_size: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Sequences per optimizer step, over all devices together.")
    ] = 32
    grad_accumulation_steps: Annotated[
        int, Meta(ge=1, le=100_000, description="Parts in which a step's batch is computed, to save memory.")
    ] = 1
    optimizer: Annotated[
        Literal["adamw", "muon"],
        Meta(description="adamw for all weights, or muon for the blocks' matrices and adamw for the rest."),
    ] = "adamw"
    learning_rate: Annotated[
        float, Meta(ge=0, le=LARGEST_LEARNING_RATE, description="Peak learning rate of AdamW.")
    ] = 1e-3
    muon_learning_rate: Annotated[float, Meta(ge=0, le=10, description="Peak learning rate of Muon.")] = 0.02
    beta1: Annotated[float, Meta(ge=0, lt=1, description="AdamW: decay of the gradient's average.")] = 0.9
    beta2: Annotated[float, Meta(ge=0, lt=1, description="AdamW: decay of the squared gradient's average.")] = 0.95
    adam_epsilon: Annotated[float, Meta(gt=LEAST_EPSILON, le=0.1, description="AdamW: added to the denominator.")] = (
        1e-8
    )
    weight_decay: Annotated[
        float, Meta(ge=0, le=10, description="AdamW: decoupled weight decay, on matrices only.")
    ] = 0.1
    muon_momentum: Annotated[float, Meta(ge=0, lt=1, description="Muon: Nesterov momentum once warm.")] = 0.95
    muon_momentum_start: Annotated[float, Meta(ge=0, lt=1, description="Muon: momentum at the first step.")] = 0.85
    muon_momentum_warmup_steps: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Muon: steps from the first momentum to the final one.")
    ] = 200
    muon_weight_decay: Annotated[float, Meta(ge=0, le=10, description="Muon: decoupled weight decay.")] = 0.1
    schedule: Annotated[
        Literal["cosine", "wsd", "constant"],
        Meta(
            description="Learning rate after warm-up: cosine to the end, wsd (constant, then a straight line down over "
            "the last decay_fraction), or constant."
        ),
    ] = "cosine"
    warmup_steps: Annotated[
        int, Meta(ge=0, le=10_000_000, description="Steps in which the learning rate climbs from 0 to its peak.")
    ] = 100
    decay_fraction: Annotated[
        float, Meta(ge=0, le=1, description="wsd: share of the run, at its end, in which the learning rate falls.")
    ] = 0.4
    min_lr_fraction: Annotated[
        float, Meta(ge=0, le=1, description="Where the schedule ends, as a share of the peak learning rate.")
    ] = 0.0
    grad_clip: Annotated[
        float, Meta(ge=0, le=1e6, description="Gradients are scaled down to at most this norm; 0 leaves them alone.")
    ] = 1.0
    zero_init_projections: Annotated[
        bool,
        Meta(
            description="Start every block's output projections (and an untied head) at zero, so that blocks begin "
            "as identities."
        ),
    ] = False
    weight_average: Annotated[
        float,
        Meta(
            ge=0,
            lt=1,
            description="Decay per step of an average of the weights that is evaluated and saved; 0 switches it off.",
        ),
    ] = 0.0
    lora_rank: Annotated[
        int,
        Meta(
            ge=0,
            le=65_536,
            description="Rank of adapters (LoRA) that learn in place of the model's weights; 0: all weights learn.",
        ),
    ] = 0
    lora_alpha: Annotated[
        float,
        Meta(gt=0, le=1e6, description="LoRA: what the adapters compute counts lora_alpha / lora_rank times."),
    ] = 16.0
    lora_targets: Annotated[
        Literal["all", "attention", "mlp"],
        Meta(description="LoRA: which of the blocks' matrices get adapters."),
    ] = "all"
    gradient_checkpointing: Annotated[
        bool,
        Meta(
            description="Recompute each block's activations in the backward pass: less memory, about a third more time."
        ),
    ] = False
    eval_interval: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="Steps between evaluations; 0: early ones at 1, 2 and 5 % of the run, then every 10 %.",
        ),
    ] = 0
    eval_tokens: Annotated[
        int,
        Meta(
            ge=1,
            le=10**12,
            description="Validation tokens per evaluation while training. The last one reads all of them.",
        ),
    ] = 32_768
    early_stopping_patience: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Stop after this many evaluations without a new best; 0: never.")
    ] = 0
    checkpoint_minutes: Annotated[
        float,
        Meta(
            ge=0, le=100_000, description="Minutes between checkpoints; 0: only when asked, at the best and at the end."
        ),
    ] = 2.0
    checkpoint_interval: Annotated[
        int, Meta(ge=0, le=10_000_000, description="Steps between checkpoints that are kept for good; 0: none.")
    ] = 0
    sample_prompt: Annotated[
        str,
        Meta(
            max_length=100_000,
            description="Prompt continued at every evaluation. Empty: the first words of the validation text.",
        ),
    ] = ""
    sample_tokens: Annotated[
        int, Meta(ge=0, le=100_000, description="Tokens of the sample written at every evaluation; 0: none.")
    ] = 200
    device: Annotated[
        str, Meta(pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,3})?)$", description="auto, cpu, cuda, cuda:N or mps.")
    ] = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bf16"],
        Meta(
            description="Arithmetic: float32, bf16 (weights kept in float32 beside it), or auto: bf16 where the "
            "device is fast at it."
        ),
    ] = "auto"
    compile: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="torch.compile: on, off, or auto: where it works and the run is long enough to earn back "
            "the wait."
        ),
    ] = "auto"
    threads: Annotated[
        int, Meta(ge=0, le=4096, description="CPU threads; 0: one per physical core. A resumed run keeps its number.")
    ] = 0


class SampleConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How text is drawn from the model's probabilities."""

    max_new_tokens: Annotated[int, Meta(ge=1, le=10_000_000, description="Tokens to write at the most.")] = 300
    temperature: Annotated[
        float,
        Meta(
            ge=0, le=100, description="Divides the logits: below 1 safer, above 1 wilder, 0 always the likeliest token."
        ),
    ] = 0.8
    top_k: Annotated[
        int, Meta(ge=0, le=2_000_000, description="Draw from the k likeliest tokens only; 0: from all.")
    ] = 0
    top_p: Annotated[
        float,
        Meta(gt=0, le=1, description="Draw from the likeliest tokens that together reach this probability; 1: all."),
    ] = 1.0
    min_p: Annotated[
        float,
        Meta(ge=0, le=1, description="Leave out tokens below this share of the likeliest one's probability; 0: none."),
    ] = 0.0
    repetition_penalty: Annotated[
        float,
        Meta(
            gt=0, le=100, description="Divides the logits of tokens already in view (above 1: less repetition); 1: off."
        ),
    ] = 1.0
    stop: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=1000)], ...],
        Meta(max_length=64, description="Texts at which writing ends; the text itself is left out."),
    ] = ()
    seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**63 - 1)] | None,
        Meta(description="Seed of the draw. Left out: a new one each time."),
    ] = None
    n_samples: Annotated[int, Meta(ge=1, le=1024, description="How many continuations to write.")] = 1


class RunConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that makes a run what it is."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    sample: SampleConfig = SampleConfig()


SECTIONS: dict[str, type[Section]] = {
    "model": ModelConfig,
    "data": DataConfig,
    "train": TrainConfig,
    "sample": SampleConfig,
}


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one field: its path and a sentence without the path."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def problems(config: RunConfig) -> Iterator[Problem]:
    """What is wrong across the fields of a configuration whose single fields are within bounds."""
    yield from model_problems(config.model)
    yield from _train_problems(config.train)
    yield from _data_problems(config)


def model_problems(model: ModelConfig) -> Iterator[Problem]:
    """What is wrong across the model's own fields."""
    if model.family == "gpt2":
        if model.n_embd % model.n_head:
            yield Problem(
                "model.n_head", f"{model.n_head} heads do not divide n_embd = {model.n_embd}; {_divisors(model)}"
            )
        for name in ("n_kv_head", "head_dim"):
            if getattr(model, name) is not None:
                yield Problem(
                    f"model.{name}", "does not exist in the gpt2 family; leave it out or set model.family to qwen3"
                )
        return
    if model.head_dim is None and model.n_embd % model.n_head:
        yield Problem("model.n_head", f"{model.n_head} heads do not divide n_embd = {model.n_embd}; {_divisors(model)}")
    elif model.head_size % 2:
        yield Problem(
            "model.head_dim" if model.head_dim else "model.n_head",
            f"gives {model.head_size} numbers per head, and rotary positions need an even number",
        )
    if model.n_head % model.kv_heads:
        yield Problem("model.n_kv_head", f"{model.kv_heads} does not divide n_head = {model.n_head}")


def _divisors(model: ModelConfig) -> str:
    fitting = [n for n in range(1, min(model.n_embd, 1024) + 1) if model.n_embd % n == 0]
    nearest = sorted(sorted(fitting, key=lambda n: abs(n - model.n_head))[:4])
    return "use " + " or ".join(", ".join(map(str, nearest)).rsplit(", ", 1))


def _train_problems(train: TrainConfig) -> Iterator[Problem]:
    ends = [name for name in ("max_steps", "max_epochs", "max_minutes") if getattr(train, name) is not None]
    if len(ends) > 1:
        yield Problem(
            f"train.{ends[1]}", f"{' and '.join(ends)} are both given; a run ends by one of them, so leave out the rest"
        )
    if not ends:
        yield Problem("train.max_minutes", "nothing says when the run ends; give max_minutes, max_steps or max_epochs")
    if train.batch_size % train.grad_accumulation_steps:
        yield Problem(
            "train.grad_accumulation_steps",
            f"{train.grad_accumulation_steps} parts do not divide a batch of {train.batch_size}",
        )


def _data_problems(config: RunConfig) -> Iterator[Problem]:
    try:
        corpus_shares(config.data.corpus, config.data.mix)
    except ConfigError as error:
        yield Problem(error.path, error.message)
    expected = {"gpt2": 50257}.get(config.data.tokenizer)
    actual = config.model.vocab_size
    # With the tokens that conversations add.
    if expected is not None and actual not in (None, expected, expected + N_CHAT_TOKENS):
        yield Problem(
            "model.vocab_size",
            f"is {actual}, but the {config.data.tokenizer} tokenizer has {expected} tokens; leave it out",
        )


def to_dict(config: msgspec.Struct) -> dict[str, Any]:
    """The configuration as plain JSON types, every field included."""
    result: dict[str, Any] = msgspec.to_builtins(config)
    return result
