"""Parameters, FLOPs, memory and time of a configuration: arithmetic, so that nothing has to be built to be weighed.

The memory of a training step follows what the network in `engine.network` keeps for its backward pass, tensor by
tensor; what allocator and kernels add for themselves is in the constants at the top.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec

from tui_gpt.core.config import ModelConfig, RunConfig, TrainConfig
from tui_gpt.core.errors import ConfigError, MemoryLimitError

Precision = Literal["float32", "bf16"]
DeviceKind = Literal["cpu", "cuda", "mps"]

FLOAT32 = 4
"""Bytes."""
PLAIN_ATTENTION_MAX_TOKENS = 256
"""Up to this context attention on the CPU is two products and keeps its (T, T) weights (`engine.network.layers`)."""
PLAIN_LOSS_MAX_VOCABULARY = 8192
"""Up to this vocabulary all logits of a pass exist at once, above it 512 rows at a time (`engine.network.loss`)."""
LOSS_CHUNK_ROWS = 512
ALLOCATOR_FACTOR: dict[DeviceKind, float] = {"cpu": 1.5, "cuda": 1.1, "mps": 1.1}
"""Memory taken per byte of short-lived tensors. CPU: glibc's heap leaves holes between tensors of many sizes; resident
memory grew 1.36 (gpt2, float32) to 1.66 (qwen3, bf16) times as fast as the tensors from 8 to 64 sequences. The GPUs'
caching allocators round up to blocks of 2 MB; that factor is a reserve and has not been measured."""
KERNEL_BYTES = 25_000_000
"""What libraries take at the first pass for their own buffers: measured with one sequence on the CPU."""
GPT2_VOCABULARY = 50_257


class ParameterCount(msgspec.Struct, frozen=True):
    """Learned numbers by part; a head tied to the token embedding is counted there."""

    token_embedding: int
    positions: int
    attention: int
    mlp: int
    norms: int
    head: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.token_embedding + self.positions + self.attention + self.mlp + self.norms + self.head


def parameters(model: ModelConfig) -> ParameterCount:
    """The exact count. Raises ValueError while the vocabulary is not known."""
    width, heads, size = model.n_embd, model.n_head, model.head_size
    qkv = (heads + 2 * model.kv_heads) * size
    if model.family == "gpt2":
        attention = (width + 1) * qkv + (heads * size + 1) * width
        mlp = (width + 1) * model.inner + (model.inner + 1) * width
        norms = (2 * model.n_layer + 1) * 2 * width
    else:
        attention = width * qkv + heads * size * width
        mlp = 3 * width * model.inner
        of_heads = 2 * model.n_layer * size if model.family == "qwen3" else 0
        norms = (2 * model.n_layer + 1) * width + of_heads
    table = model.vocabulary * width
    return ParameterCount(
        token_embedding=table,
        positions=model.n_positions * width if model.family == "gpt2" else 0,
        attention=model.n_layer * attention,
        mlp=model.n_layer * mlp,
        norms=norms,
        head=0 if model.tie_word_embeddings else table,
    )


def trained_parameters(model: ModelConfig, train: TrainConfig) -> int:
    """The numbers that learn: all of the network's, or with LoRA those of its adapters.

    Raises ValueError while the vocabulary is not known.
    """
    if not train.lora_rank:
        return parameters(model).total
    width, inner = model.n_embd, model.inner
    query, key = model.n_head * model.head_size, model.kv_heads * model.head_size
    # Rows and columns of the matrices as transformers keeps them, each with an adapter of its own.
    if model.family == "gpt2":
        attention = [(3 * width, width), (width, width)]
        mlp = [(inner, width), (width, inner)]
    else:
        attention = [(query, width), (key, width), (key, width), (width, query)]
        mlp = [(inner, width), (inner, width), (width, inner)]
    adapted = {"attention": attention, "mlp": mlp, "all": attention + mlp}[train.lora_targets]
    return model.n_layer * train.lora_rank * sum(rows + columns for rows, columns in adapted)


class FlopsPerToken(msgspec.Struct, frozen=True):
    """Floating-point operations per token at full context; a multiplication and an addition are two."""

    forward: int
    training: int
    """Forward and backward pass; the backward costs two forwards."""


def flops_per_token(model: ModelConfig) -> FlopsPerToken:
    """6 N + 12 L H D T per trained token, a third of it forward (Chowdhery et al., 2022: PaLM, appendix B).

    N are the weights that take part in products: all but the look-up tables, with the output head. The attention term
    counts the whole (T, T) square, as that source does, although the half above the diagonal is masked.
    """
    count = parameters(model)
    weights = count.attention + count.mlp + count.norms + model.vocabulary * model.n_embd
    forward = 2 * weights + 4 * model.n_layer * model.n_head * model.head_size * model.n_positions
    return FlopsPerToken(forward=forward, training=3 * forward)


def assumed_vocabulary(config: RunConfig) -> int:
    """The vocabulary, or before the corpus is read the one to reckon with: what was asked for, else 256 characters."""
    if config.model.vocab_size is not None:
        return config.model.vocab_size
    return {"gpt2": GPT2_VOCABULARY, "char": 256}.get(config.data.tokenizer, config.data.bpe_vocab_size)


def time_to_finish(config: RunConfig, tokens_per_second: float, n_train_tokens: int | None = None) -> float:
    """Seconds from the first step to the last. Raises ConfigError for epochs of a corpus whose length is not known."""
    train = config.train
    if train.max_minutes is not None:
        return train.max_minutes * 60.0
    if train.max_steps is not None:
        tokens: float = train.max_steps * train.batch_size * config.model.n_positions
    elif train.max_epochs is not None and n_train_tokens is not None:
        tokens = train.max_epochs * n_train_tokens
    else:
        raise ConfigError(
            "train.max_epochs", "takes a time that depends on the corpus, whose tokens are not counted yet"
        )
    return tokens / tokens_per_second


class Remedy(msgspec.Struct, frozen=True):
    """A change that saves memory, and what would then be needed."""

    change: str
    """As `--set` takes it."""
    total: int
    """Bytes."""


class MemoryEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes at the peak, beyond what a process takes that has loaded PyTorch and run a network of no size once."""

    weights: int
    master_weights: int = 0
    """Float32 copies of bf16 weights."""
    gradients: int = 0
    optimizer: int = 0
    """Moments and momenta."""
    weight_average: int = 0
    kv_cache: int = 0
    activations: int = 0
    """What the backward pass needs of the forward pass, logits included, or the widest moment of generation."""
    step_workspace: int = 0
    """What the optimizer's step needs for itself, at a time when the activations are gone."""
    kernels: int = KERNEL_BYTES
    remedies: tuple[Remedy, ...] = ()
    """Changes that need less, the mildest first."""

    @property
    def total(self) -> int:
        """All that exists at the same time."""
        weights = self.weights + self.master_weights + self.gradients + self.optimizer + self.weight_average
        return weights + self.kv_cache + max(self.activations, self.step_workspace) + self.kernels


def training_memory(
    model: ModelConfig, train: TrainConfig, precision: Precision, *, world_size: int = 1, device: DeviceKind = "cpu"
) -> MemoryEstimate:
    """What one process of a training run needs, without torch.compile, which needs less.

    Raises ValueError while the vocabulary is not known.
    """
    estimate = _training_memory(model, train, precision, world_size, device)
    remedies = []
    for change in _changes(train, world_size):
        changed = msgspec.structs.replace(train, **change)
        total = _training_memory(model, changed, precision, world_size, device).total
        if total < estimate.total:
            remedies.append(Remedy(" ".join(f"train.{k}={str(v).lower()}" for k, v in change.items()), total))
    return msgspec.structs.replace(estimate, remedies=tuple(remedies))


def _changes(train: TrainConfig, world_size: int) -> list[dict[str, int | bool | str]]:
    """What could be changed without another model or another batch, from mild to harsh."""
    per_process = max(1, train.batch_size // world_size)
    parts = [n for n in range(train.grad_accumulation_steps + 1, per_process + 1) if per_process % n == 0]
    changes: list[dict[str, int | bool | str]] = [{"grad_accumulation_steps": n} for n in parts]
    if not train.gradient_checkpointing:
        smallest = {"grad_accumulation_steps": parts[-1]} if parts else {}
        changes += [{"gradient_checkpointing": True}, {**smallest, "gradient_checkpointing": True}]
    return changes


def _training_memory(
    model: ModelConfig, train: TrainConfig, precision: Precision, world_size: int, device: DeviceKind
) -> MemoryEstimate:
    total = parameters(model).total
    learned = trained_parameters(model, train)
    element = FLOAT32 if precision == "float32" else 2
    by_muon = _block_matrices(model) if train.optimizer == "muon" and not train.lora_rank else Counter()
    muon_numbers = sum(rows * columns * number for (rows, columns), number in by_muon.items())
    # AdamW keeps two moments per number, Muon one momentum.
    optimizer = FLOAT32 * (2 * (learned - muon_numbers) + muon_numbers)
    largest_stack = max((rows * columns * number for (rows, columns), number in by_muon.items()), default=0)
    # Newton-Schulz holds the stack, its normed copy, and up to three products of its size in flight.
    workspace = 5 * largest_stack * element
    if precision == "bf16":
        # The step works on float32 copies of the gradients.
        workspace += FLOAT32 * learned
    adapters = learned if train.lora_rank else 0
    if adapters:
        # A checkpoint's model is made with the adapters merged into float32 copies of the matrices.
        workspace = max(workspace, FLOAT32 * total)
    sequences = -(-train.batch_size // (train.grad_accumulation_steps * world_size))
    return MemoryEstimate(
        weights=element * (total + adapters),
        # Of frozen weights too: what is merged must be what they were before rounding.
        master_weights=FLOAT32 * (total + adapters) if precision == "bf16" else 0,
        gradients=element * learned,
        optimizer=optimizer,
        weight_average=FLOAT32 * learned if train.weight_average else 0,
        activations=round(_activations(model, train, sequences, element, device) * ALLOCATOR_FACTOR[device]),
        step_workspace=round(workspace * ALLOCATOR_FACTOR[device]),
    )


def _block_matrices(model: ModelConfig) -> Counter[tuple[int, int]]:
    """How many matrices of each shape (rows, columns) the blocks hold: the stacks in which Muon works."""
    width, query, key = model.n_embd, model.n_head * model.head_size, model.kv_heads * model.head_size
    shapes = [(query, width), (key, width), (key, width), (width, query), (model.inner, width), (width, model.inner)]
    if model.family != "gpt2":
        shapes.append((model.inner, width))
    return Counter(shapes * model.n_layer)


def _activations(model: ModelConfig, train: TrainConfig, sequences: int, element: int, device: DeviceKind) -> int:
    """Bytes when the backward pass begins: the blocks' saved tensors, the stream between them, and the loss."""
    tokens = sequences * model.n_positions
    block = _saved_by_block(model, element, device)
    blocks = model.n_layer * block
    if train.gradient_checkpointing:  # only what enters each block is kept, and one block is computed again at a time
        blocks = model.n_layer * model.n_embd * element + block
    stream = _saved_by_norm(model, model.n_embd, element, device) + 2 * model.n_embd * element
    rows = tokens if model.vocabulary <= PLAIN_LOSS_MAX_VOCABULARY else min(tokens, LOSS_CHUNK_ROWS)
    # Logits, the log-softmax of them in float32, and both gradients; in bf16 a float32 copy of the logits too. Those of
    # a chunk take each other's places: measured with 2048 and 4096 tokens, vocabularies of 32,000 and 50,257.
    per_logit = 3 * FLOAT32 + element if rows == tokens else 4 * element
    loss = rows * model.vocabulary * per_logit
    # Gradients in flight within one block: of the MLP's inside or of the attention weights.
    in_flight = tokens * element * max(2 * model.inner * (2 if model.family != "gpt2" else 1), 4 * model.n_embd)
    if _keeps_attention_weights(model, element, device):
        in_flight = max(in_flight, 2 * tokens * model.n_head * model.n_positions * element)
    return tokens * (blocks + stream) + max(loss, in_flight)


def _keeps_attention_weights(model: ModelConfig, element: int, device: DeviceKind) -> bool:
    # With dropout there is no fused attention on the CPU.
    short = element < FLOAT32 and model.n_positions <= PLAIN_ATTENTION_MAX_TOKENS
    return device == "cpu" and (short or model.dropout > 0)


def _saved_by_block(model: ModelConfig, element: int, device: DeviceKind) -> int:
    """Bytes per token that one block keeps for its backward pass."""
    query, key = model.n_head * model.head_size, model.kv_heads * model.head_size
    rotary = model.family != "gpt2"
    plain = _keeps_attention_weights(model, element, device)
    # Two norms, their outputs being the inputs of the two projections; attention's output before its projection.
    size = 2 * (_saved_by_norm(model, model.n_embd, element, device) + model.n_embd * element) + query * element
    if rotary:
        # The norms of queries and keys, then the rotated ones. Values stay a part of the joint projection's output.
        if model.family == "qwen3":
            size += _saved_by_norm(model, query + key, element, device)
        fused_norm = device == "cuda"
        if element == FLOAT32 or fused_norm or not plain:
            size += key * element if element == FLOAT32 or fused_norm else (query + 2 * key) * element
        size += 3 * query * element if plain else (query + key) * element
        inside = 4 * model.inner  # gate and up, the gate's SiLU, the product
    else:
        size += 3 * query * element
        inside = 2 * model.inner  # before GELU and after
    size += inside * element
    if plain:
        # The weights; with dropout a mask and what it leaves of them too.
        weight = 2 * element + 1 if model.dropout else element
        size += model.n_head * model.n_positions * weight
    if model.dropout:
        size += 2 * model.n_embd  # masks
    return size


def _saved_by_norm(model: ModelConfig, width: int, element: int, device: DeviceKind) -> int:
    """Bytes per token that a norm keeps: its input, and for an RMSNorm that is not fused its normed input too."""
    if model.family == "gpt2" or device == "cuda" or (device == "cpu" and element == FLOAT32):
        return width * element
    return 2 * width * FLOAT32  # in bf16 both are float32 copies


def generation_memory(
    model: ModelConfig, batch: int = 1, precision: Precision = "float32", *, device: DeviceKind = "cpu"
) -> MemoryEstimate:
    """What it takes to continue `batch` prompts up to the full context with a KV cache.

    Raises ValueError while the vocabulary is not known.
    """
    element = FLOAT32 if precision == "float32" else 2
    tokens = batch * model.n_positions
    cache = 2 * model.n_layer * tokens * model.kv_heads * model.head_size * element
    # Reading a prompt of full length: the stream and its norm, then the widest of projection, attention and MLP.
    widest = 2 * max((model.n_head + 2 * model.kv_heads) * model.head_size, model.inner)
    if model.family != "gpt2":
        widest = max(widest, 4 * model.inner)
    if _keeps_attention_weights(model, element, device):
        widest = max(widest, 3 * model.n_head * model.n_positions)
    # The next token's logits, sorted and summed by the sampler.
    logits = batch * model.vocabulary * FLOAT32 * 5
    return MemoryEstimate(
        weights=element * parameters(model).total,
        kv_cache=cache,
        activations=round((tokens * (3 * model.n_embd + widest) * element + logits) * ALLOCATOR_FACTOR[device]),
    )


def require_memory(needed: MemoryEstimate, available: int, what: str) -> None:
    """Raise MemoryLimitError when `needed` is more than `available` bytes: what needs how much, and what would help."""
    if needed.total <= available:
        return
    best = next((r for r in needed.remedies if r.total <= available), None)
    if best is not None:
        advice = f"{best.change} brings it down to {_gigabytes(best.total)}"
    elif needed.remedies and (least := min(needed.remedies, key=lambda r: r.total)).total < 0.8 * needed.total:
        advice = f"{least.change} helps most and still needs {_gigabytes(least.total)}, so choose a smaller model too"
    else:
        advice = "choose a smaller model (model.n_embd, model.n_layer) or a device with more memory"
    raise MemoryLimitError(
        f"{what} needs about {_gigabytes(needed.total)} of memory and {_gigabytes(available)} are available; {advice}"
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
