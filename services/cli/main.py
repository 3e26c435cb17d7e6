"""The command `tiendo`: every subcommand in one place.

Invariant: --lang and --json are taken before a command's name and after it.
"""

import logging

import structlog
import typer

from services.cli import backups, doctor, outlook, parts, programmes, progress, report, simulate, status, up, watch
from services.cli.session import Globals, JsonOption, LangOption

app = typer.Typer(
    name="tiendo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tiendo tracks a programme of online public services from plan to completed integration.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _globals(ctx: typer.Context, lang: LangOption = None, as_json: JsonOption = False) -> None:
    ctx.obj = Globals(lang, as_json)


up.register(app)
simulate.register(app)
parts.register(app)
backups.register(app)
status.register(app)
report.register(app)
outlook.register(app)
watch.register(app)
doctor.register(app)
app.add_typer(programmes.catalog_app, name="catalog")
app.add_typer(progress.app, name="integration")


def main() -> None:
    """Be the program. What parts log for a service's operator, a command tells on the screen; `serve` sets up its own."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    app()
