"""Options that commands of several files have."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
ConfigFile = Annotated[
    Path, typer.Option("-c", "--config", help="pipeline.toml, or the folder that holds it.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Overrides a key: --set train.epochs=3"),
]
Where = Annotated[
    Path | None,
    typer.Option("--workspace", help="Default: runs/NAME beside the configuration."),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait while another process uses the workspace.")
]
