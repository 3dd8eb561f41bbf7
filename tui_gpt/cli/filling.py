"""From `--template`, `--fill` and `--prompt` to a filled prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from tui_gpt.core.errors import ConfigError

if TYPE_CHECKING:
    from tui_gpt.core.templates import Filled, Template


def chosen_template(name: str | None, fills: Sequence[str]) -> Template | None:
    """The template of that name; None without one. Raises ConfigError, also for fills that nothing is there for."""
    from tui_gpt.core.templates import find_template

    if name is not None:
        return find_template(name)
    if fills:
        raise click.UsageError("--fill fills a blank of a template; give --template NAME too")
    return None


def read_fills(template: Template, fills: Sequence[str]) -> dict[str, str]:
    """The texts by blank; of two for the same blank, the later one. Raises ConfigError and CorpusError."""
    from tui_gpt.cli.sample import checked

    values = {}
    for fill in fills:
        name, equals, text = fill.partition("=")
        if not equals:
            raise ConfigError("--fill", f"{fill[:80]!r} is not of the form BLANK=TEXT, e.g. {_example(template)}")
        values[name.strip()] = checked(text, f"the text for {name.strip()[:80]}")
    template.check_names(values)
    return values


def filled(template: Template, fills: Sequence[str], prompt: str | None) -> Filled:
    """The template with these texts; a prompt fills the one blank that is still open, without the line end of a file.

    Raises TuiGptError.
    """
    values = read_fills(template, fills)
    if prompt is not None:
        values[the_open_blank(template, values, "a prompt")] = prompt.removesuffix("\n")
    if missing := template.missing(values):
        each = " and ".join(f"{name} ({template.blanks[name].about})" for name in missing)
        options = " ".join(f'--fill {name}="..."' for name in missing)
        plural = "s" if len(missing) > 1 else ""
        raise ConfigError(f"template {template.name}", f"has nothing in its blank{plural} {each}; give {options}")
    return template.fill(values)


def the_open_blank(template: Template, given: dict[str, str], what: str) -> str:
    """The only blank that is still open, which `what` fills. Raises ConfigError where there are none, or several."""
    names = template.open_blanks(given)
    if len(names) == 1:
        return names[0]
    if names:
        problem = f"has {len(names)} open blanks ({', '.join(names)}), and {what} fills one; fill the others by --fill"
    elif given:
        problem = f"has no open blank left for {what}; leave one out of --fill"
    else:
        problem = f"has no open blank for {what}; fill those it has ({', '.join(template.blanks)}) by --fill"
    raise ConfigError(f"template {template.name}", problem)


class LineFrame(NamedTuple):
    """A template whose one open blank is filled by each line that is typed."""

    template: Template
    values: dict[str, str]
    """Of the other blanks, where they are not as their defaults."""
    blank: str

    def around(self, line: str) -> Filled:
        """The template with that line in it. Raises ConfigError."""
        return self.template.fill({**self.values, self.blank: line})


def line_frame(template: Template, fills: Sequence[str] = ()) -> LineFrame:
    """What is put around each line. Raises ConfigError where not exactly one blank is open."""
    values = read_fills(template, fills)
    return LineFrame(template, values, the_open_blank(template, values, "a line"))


def _example(template: Template) -> str:
    return f'{next(iter(template.blanks))}="..."'
