"""config.toml: what a person decides about the app, and the sentences for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_gpt.core.errors import ConfigError
from tui_gpt.core.settings import Settings, read_settings, settings_file


def test_without_a_file_everything_is_as_it_comes(home: Path) -> None:
    assert read_settings() == Settings()


def test_keys_theme_and_animations_are_read(home: Path) -> None:
    home.mkdir()
    settings_file().write_text('theme = "textual-light"\n[keys]\n"train.pause" = "p,space"\n')
    assert read_settings() == Settings(theme="textual-light", keys={"train.pause": "p,space"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("theme = 3\n", "theme"),
        ("thme = 'x'\n", "did you mean theme"),
        ("[keys]\n'app.help' = 7\n", "keys"),
        ("theme = [\n", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(home: Path, text: str, said: str) -> None:
    home.mkdir()
    settings_file().write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_settings()
    assert str(settings_file()) in str(caught.value)
