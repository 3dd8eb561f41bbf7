"""The step that transformers' GPT-2 is usually trained with: its own loss, fused AdamW, the gradient clipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.contenders.training_text import tokens, turn
from benchmarks.interleaved import peak_bytes, serve
from tui_gpt.engine.cores import physical_threads


def build(options: dict[str, Any]) -> Callable[[], float]:
    """A GPT2LMHeadModel of the given shape with random weights; bf16 is torch's autocast, as its Trainer has it."""
    torch.set_num_threads(physical_threads())
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            n_layer=options["layers"],
            n_embd=options["width"],
            n_head=options["heads"],
            n_positions=options["context"],
            vocab_size=options["vocabulary"],
            bos_token_id=0,
            eos_token_id=0,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
        )
    )
    model.train()
    compute: Any = torch.compile(model) if options["compiled"] else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    text = torch.from_numpy(tokens(options).astype("int64"))
    batch, context = options["batch"], options["context"]
    generator = torch.Generator().manual_seed(0)
    within = torch.arange(context)

    def step() -> None:
        starts = torch.randint(len(text) - context, (batch, 1), generator=generator)
        ids = text[starts + within]
        with torch.autocast("cpu", torch.bfloat16, enabled=options["precision"] == "bf16"):
            # The model shifts the labels itself.
            loss = compute(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return turn(step, options)


if __name__ == "__main__":
    serve(build, lambda: {"peak": peak_bytes()})
