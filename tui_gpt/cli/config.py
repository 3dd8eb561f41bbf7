"""`tui-gpt config`: show, check and explain configurations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import size_names
from tui_gpt.cli.options import config_options, configured, echo_json, help_without_command, json_option, layers_of
from tui_gpt.cli.planning import plan, speed
from tui_gpt.cli.tables import amount, echo_pairs, echo_table, mark

if TYPE_CHECKING:
    from tui_gpt.core.config import RunConfig
    from tui_gpt.core.config_loading import FieldDoc
    from tui_gpt.core.published import FieldComparison
    from tui_gpt.core.sizes import MemoryEstimate


@click.group("config", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Show, check and explain configurations.

    A configuration is a preset (`quick` unless another is named), then a TOML file, then single fields, each over the
    one before: the same for all commands.

    \b
    Examples:
      tui-gpt config show --preset nanogpt-shakespeare --toml > mine.toml
      tui-gpt config check --config mine.toml --against gpt2
      tui-gpt config sizes --preset gpt2 --set train.batch_size=40
      tui-gpt config speed --preset nanogpt-shakespeare
      tui-gpt config plan book.txt --minutes 10 > plan.toml
      tui-gpt config fields sample
    """
    help_without_command(context)


command.add_command(speed)
command.add_command(plan)


@command.command("show")
@config_options
@click.option("--toml", "as_toml", is_flag=True, help="Explain every field in a comment: a file for --config.")
@json_option
def show(preset: str | None, config_file: Path | None, settings: tuple[str, ...], as_toml: bool, as_json: bool) -> None:
    """Print the configuration these options make, as TOML."""
    from tui_gpt.core.config import to_dict
    from tui_gpt.core.config_loading import to_toml

    if as_toml and as_json:
        raise click.UsageError("give either --toml or --json")
    config = configured(layers_of(preset, config_file, settings))
    if as_json:
        echo_json(to_dict(config))
    else:
        click.echo(to_toml(config, comments=as_toml).rstrip("\n"))


@command.command("presets")
@json_option
def presets(as_json: bool) -> None:
    """List the presets, and why their numbers."""
    from tui_gpt.core.presets import PRESETS, preset_config

    sizes = {name: _parameters(preset_config(name)) for name in PRESETS}
    if as_json:
        echo_json([{**_as_tree(preset), "parameters": sizes[name]} for name, preset in PRESETS.items()])
        return
    rows = [(p.name, f"{sizes[p.name] / 1e6:.2f} M", p.suits, p.title) for p in PRESETS.values()]
    echo_table([("NAME", "PARAMETERS", "SUITS", "TITLE"), *rows])
    for preset in PRESETS.values():
        click.echo(f"\n{click.wrap_text(f'{preset.name}: {preset.reason}', 100, subsequent_indent='    ')}")


def _as_tree(value: Any) -> dict[str, Any]:
    import msgspec

    tree: dict[str, Any] = msgspec.to_builtins(value)
    return tree


def _parameters(config: RunConfig) -> int:
    from tui_gpt.core.sizes import parameters

    return parameters(_with_assumed_vocabulary(config).model).total


def _with_assumed_vocabulary(config: RunConfig) -> RunConfig:
    import msgspec

    from tui_gpt.core.sizes import assumed_vocabulary

    model = msgspec.structs.replace(config.model, vocab_size=assumed_vocabulary(config))
    replaced: RunConfig = msgspec.structs.replace(config, model=model)
    return replaced


@command.command("fields")
@click.argument("section", required=False, type=click.Choice(["model", "data", "train", "sample"]))
@json_option
def fields(section: str | None, as_json: bool) -> None:
    """Explain every field: meaning, default, bounds."""
    from tui_gpt.core.config import SECTIONS
    from tui_gpt.core.config_loading import field_docs

    docs = field_docs(SECTIONS[section] if section else None)
    if as_json:
        echo_json(docs)
        return
    for doc in docs:
        click.echo(f"{doc.path} = {_default(doc)}  ({_values(doc)})")
        click.echo(click.wrap_text(doc.description, 100, initial_indent="    ", subsequent_indent="    "))


def _default(doc: FieldDoc) -> str:
    if doc.default is None:
        return "none"
    if isinstance(doc.default, bool):
        return "true" if doc.default else "false"
    return '""' if doc.default == "" else "[]" if doc.default == () else str(doc.default)


def _values(doc: FieldDoc) -> str:
    kind = " | ".join(doc.choices) if doc.choices else doc.type
    return " ".join(filter(None, [kind, doc.bounds])) + (", or none" if doc.optional else "")


@command.command("check")
@click.option("--against", metavar="SIZE", shell_complete=size_names, help="gpt2, gpt2-medium, ...; else the nearest.")
@config_options
@json_option
def check(
    against: str | None, preset: str | None, config_file: Path | None, settings: tuple[str, ...], as_json: bool
) -> int:
    """Compare a model with a published GPT-2 size.

    The configuration is checked first, then every field that makes a GPT-2 is compared.

    Exit code 0 where all are equal, 1 where any differs, 2 where the configuration cannot be used.
    """
    from tui_gpt.core.config_loading import with_vocabulary
    from tui_gpt.core.published import compare, nearest
    from tui_gpt.core.sizes import GPT2_VOCABULARY

    config = configured(layers_of(preset, config_file, settings))
    if config.data.tokenizer == "gpt2":
        config = with_vocabulary(config, GPT2_VOCABULARY)
    name = nearest(config.model).name if against is None else against
    found = compare(config.model, name)
    equal = all(comparison.equal for comparison in found)
    if as_json:
        fields = [{**_as_tree(comparison), "equal": comparison.equal} for comparison in found]
        echo_json({"against": name, "equal": equal, "fields": fields})
    else:
        _tell_comparison(found, name)
        differing = sum(not comparison.equal for comparison in found)
        verdict = (
            f"every field equals {name}'s" if equal else f"{differing} of {len(found)} fields differ from {name}'s"
        )
        click.echo(verdict, err=True)
    return 0 if equal else 1


def _tell_comparison(found: list[FieldComparison], name: str) -> None:
    def shown(value: object) -> str:
        if value is None:
            return "the tokenizer's"
        return str(value).lower() if isinstance(value, bool) else f"{value:,}" if isinstance(value, int) else str(value)

    rows = [(mark(c.equal), c.field, shown(c.actual), shown(c.published)) for c in found]
    echo_table([("", "FIELD", "HERE", name.upper()), *rows])


@command.command("sizes")
@config_options
@json_option
def sizes(preset: str | None, config_file: Path | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Reckon parameters, arithmetic and memory."""
    from tui_gpt.core.sizes import flops_per_token, generation_memory, parameters, training_memory

    given = configured(layers_of(preset, config_file, settings))
    config = _with_assumed_vocabulary(given)
    model, train = config.model, config.train
    count, flops = parameters(model), flops_per_token(model)
    training = {p: training_memory(model, train, p) for p in ("float32", "bf16")}
    generation = generation_memory(model)
    if as_json:
        echo_json(
            {
                "vocab_size": model.vocab_size,
                "vocab_size_assumed": given.model.vocab_size is None,
                "parameters": {**_as_tree(count), "total": count.total},
                "flops_per_token": flops,
                "training_memory": {p: _memory_tree(estimate) for p, estimate in training.items()},
                "generation_memory": _memory_tree(generation),
            }
        )
        return
    share = {name: f"{value:,} ({value / count.total:.1%})" for name, value in _as_tree(count).items() if value}
    assumed = " (assumed; the corpus decides)" if given.model.vocab_size is None else ""
    pairs = [
        ("vocabulary", f"{model.vocabulary:,} tokens{assumed}"),
        ("parameters", f"{count.total:,}"),
        *((f"  {name.replace('_', ' ')}", value) for name, value in share.items()),
        ("operations", f"{flops.forward / 1e6:,.1f} MFLOP per token forward, {flops.training / 1e6:,.1f} to train"),
    ]
    for precision, estimate in training.items():
        pairs += _memory_pairs(f"to train, {precision}", estimate)
    pairs += _memory_pairs("to generate", generation)
    echo_pairs(pairs)


_PARTS = (
    "weights",
    "master_weights",
    "gradients",
    "optimizer",
    "weight_average",
    "kv_cache",
    "activations",
    "step_workspace",
    "kernels",
)


def _memory_tree(estimate: MemoryEstimate) -> dict[str, Any]:
    return {**_as_tree(estimate), "total": estimate.total}


def _memory_pairs(title: str, estimate: MemoryEstimate) -> list[tuple[str, str]]:
    """The total and its parts; the optimizer's step and the activations never need memory at the same time."""
    parts = [(f"  {name.replace('_', ' ')}", amount(size)) for name in _PARTS if (size := getattr(estimate, name))]
    savings = [(f"  or {amount(remedy.total)}", f"--set {remedy.change}") for remedy in estimate.remedies[:1]]
    return [(title, amount(estimate.total)), *parts, *savings]
