"""Run a benchmark by its name: `python -m benchmarks NAME --help`; `python -m benchmarks` lists them."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks

_NOT_BENCHMARKS = ("__main__", "contenders", "interleaved")


def main() -> int:
    """What the named benchmark returns; 2 where there is none of that name."""
    names = [found.name for found in pkgutil.iter_modules(benchmarks.__path__) if found.name not in _NOT_BENCHMARKS]
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("python -m benchmarks NAME, with one of: " + ", ".join(names))
        return 0 if len(sys.argv) > 1 else 2
    name = sys.argv.pop(1)
    if name not in names:
        print(f"there is no benchmark named {name}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    sys.argv[0] = f"python -m benchmarks {name}"
    chosen = importlib.import_module(f"benchmarks.{name}")
    if hasattr(chosen, "__path__"):
        chosen = importlib.import_module(f"benchmarks.{name}.__main__")
    result: int | None = chosen.main()
    return result or 0


if __name__ == "__main__":
    sys.exit(main())
