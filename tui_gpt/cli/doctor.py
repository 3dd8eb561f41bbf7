"""`tui-gpt doctor`: what this machine can do, and what is missing."""

from __future__ import annotations

import click

from tui_gpt.cli.options import echo_json, json_option
from tui_gpt.cli.tables import echo_pairs, one_line
from tui_gpt.core.errors import TuiGptError


@click.command("doctor")
@click.option("--quick", is_flag=True, help="Do not try the compiler, which takes up to a minute.")
@json_option
def command(quick: bool, as_json: bool) -> None:
    """Tell what this machine can do, and what is missing. Exit code 0 where tui-gpt can be used.

    Devices, types and torch.compile are tried out, not looked up.

    \b
    Examples:
      tui-gpt doctor
      tui-gpt doctor --quick --json
    """
    from tui_gpt.cli.doctor_machine import machine_findings
    from tui_gpt.cli.doctor_places import place_findings

    findings = [*machine_findings(quick=quick), *place_findings()]
    usable = not any(finding.fatal for finding in findings)
    if as_json:
        echo_json({"usable": usable, "findings": findings})
    else:
        echo_pairs([(finding.name, finding.value) for finding in findings])
        for finding in findings:
            if finding.advice:
                click.echo(f"\n{finding.name}: {one_line(finding.advice)}")
    if not usable:
        raise TuiGptError("tui-gpt cannot be used as it is; " + next(f.advice for f in findings if f.fatal))
