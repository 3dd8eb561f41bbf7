"""`tui-gpt guards`: what decides which prompts a model is asked."""

from __future__ import annotations

from typing import Any

import click

from tui_gpt.cli.completion import guard_names
from tui_gpt.cli.options import echo_json, help_without_command, json_option
from tui_gpt.cli.tables import echo_table
from tui_gpt.core.safe_text import safe_text


@click.group("guards", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List and try what decides which prompts a model is asked.

    `chat` and `sample` take one by --guard NAME. A file NAME.toml in the folder `guards` of the home folder is a guard.

    \b
    Examples:
      tui-gpt guards list
      tui-gpt guards try python "How do I sort a list?"
    """
    help_without_command(context)


@command.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List the guards, and where they come from."""
    from tui_gpt.core.guards import list_guards

    found = list_guards()
    if as_json:
        echo_json(found)
        return
    usable = [guard for guard in found if not guard.problem]
    rows = [(guard.name, _line(guard.origin), _line(guard.title)) for guard in usable]
    echo_table([("NAME", "FROM", "LETS THROUGH"), *rows])
    for guard in usable:
        if guard.about:
            click.echo(f"\n{guard.name}: {_line(guard.about)}")
    for guard in found:
        if guard.problem:
            click.echo(f"cannot be used: {_line(guard.problem)}", err=True)


@command.command("try")
@click.argument("name", shell_complete=guard_names)
@click.argument("prompt")
@json_option
def try_one(name: str, prompt: str, as_json: bool) -> None:
    """Ask the guard NAME about PROMPT, without a model.

    Of a guard that is a word list, what its rules found and what they weigh is shown too.
    """
    from tui_gpt.core.guards import find_guard, judge
    from tui_gpt.core.guards.word_list import WordListGuard

    guard = find_guard(name)
    verdict = judge(guard, prompt)
    findings = guard.findings(prompt) if isinstance(guard, WordListGuard) else []
    threshold = guard.words.threshold if isinstance(guard, WordListGuard) else None
    if as_json:
        found: list[dict[str, Any]] = [
            {"says": finding.rule.says, "found": finding.found, "score": round(finding.score, 3)}
            for finding in findings
        ]
        tree = {name: getattr(verdict, name) for name in ("guard", "accepted", "reason", "refusal", "seconds")}
        echo_json({**tree, "threshold": threshold, "findings": found})
        return
    click.echo(f"{'accepted' if verdict.accepted else 'declined'}: {_line(verdict.reason)}")
    if threshold is not None:
        for finding in findings:
            click.echo(f"{finding.score:>+6.1f}  {_line(str(finding))}")
        total = sum(finding.score for finding in findings)
        click.echo(f"{total:>+6.1f}  in all; accepted from {threshold:g} on")
    if not verdict.accepted:
        click.echo(f"\n{safe_text(verdict.refusal)}")


def _line(text: str) -> str:
    return safe_text(text, newlines=False)
