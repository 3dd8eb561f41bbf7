"""`tui-gpt` and `python -m tui_gpt`."""

from tui_gpt.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
