"""`tui-gpt templates`: prompts with blanks to fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import template_names
from tui_gpt.cli.options import echo_json, help_without_command, json_option
from tui_gpt.cli.tables import echo_pairs, echo_table, one_line
from tui_gpt.core.safe_text import safe_text

if TYPE_CHECKING:
    from tui_gpt.core.templates import Blank


@click.group("templates", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List and show prompts with blanks to fill: zero-, one- and few-shot.

    `sample` and `chat` take one by --template NAME. A file NAME.toml in the folder `templates` of the home folder is a
    template.

    \b
    Examples:
      tui-gpt templates list
      tui-gpt templates show qa
      tui-gpt sample gpt2 --template qa --fill question="Who wrote Faust?"
    """
    help_without_command(context)


@command.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List the templates, and where they come from."""
    from tui_gpt.core.templates import list_templates

    found = list_templates()
    if as_json:
        echo_json(found)
        return
    usable = [template for template in found if not template.problem]
    rows = [
        (t.name, t.kind, ", ".join(t.blanks), "built-in" if t.origin == "built-in" else "your own", t.title)
        for t in usable
    ]
    echo_table([("NAME", "KIND", "BLANKS", "FROM", "WHAT IT ASKS"), *rows])
    for template in found:
        if template.problem:
            click.echo(f"cannot be used: {one_line(template.problem)}", err=True)


@command.command("show")
@click.argument("name", shell_complete=template_names)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the template NAME: its blanks, its settings, and how it looks when it is filled."""
    from tui_gpt.core.templates import find_template, template_origin

    template = find_template(name)
    example = template.example()
    if as_json:
        tree: dict[str, Any] = {
            "name": template.name,
            "title": template.title,
            "about": template.about,
            "kind": template.kind,
            "examples": template.n_examples,
            "origin": template_origin(name),
            "blanks": {blank: about._asdict() for blank, about in template.blanks.items()},
            "sample": template.sample,
            "filled": example.text,
        }
        echo_json(tree)
        return
    several = f", {template.n_examples} examples" if template.n_examples > 1 else ""
    pairs = [("template", one_line(f"{template.name}: {template.title}"))]
    pairs += [("for", one_line(template.about))] if template.about else []
    pairs += [("kind", f"{template.kind}{several}"), ("from", one_line(template_origin(name)))]
    pairs += [(blank, one_line(_explained(about))) for blank, about in template.blanks.items()]
    pairs += [("settings", one_line(template.settings_in_words() or "none of its own"))]
    echo_pairs(pairs)
    click.echo(f"\n{safe_text(example.text)}")


def _explained(blank: Blank) -> str:
    if blank.default is not None:
        return f"{blank.about} [default: {blank.default}]"
    return f"{blank.about} (e.g. {blank.example})" if blank.example else blank.about
