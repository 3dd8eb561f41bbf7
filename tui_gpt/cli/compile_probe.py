"""Compiles a tiny function for a device, and leaves with 0 if it then gives what it gave before.

A process of its own (`python -m tui_gpt.cli.compile_probe DEVICE`), because a compiler can crash or wait for ever.
"""

from __future__ import annotations

import sys


def main(device: str) -> int:
    """Compile and compare; 1 where the results differ."""
    import torch

    def layer(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(x @ weight).sum()

    x, weight = (torch.randn(64, 64, device=device, requires_grad=True) for _ in range(2))
    compiled = torch.compile(layer)
    result = compiled(x, weight)
    expected = layer(x, weight)
    pairs = zip(torch.autograd.grad(result, [x, weight]), torch.autograd.grad(expected, [x, weight]), strict=True)
    alike = [torch.allclose(result, expected, rtol=1e-3), *(torch.allclose(a, b, atol=1e-3) for a, b in pairs)]
    return 0 if all(alike) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
