"""The folder of a simulation, and the file in it that says which one it is.

Invariant: a folder that holds databases without this file is somebody's installation, and no simulation begins in it.
"""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

from services.cli.files import write_json
from services.cli.simulation.plan import Simulation

_FILE = "simulation.json"
_DAYS = ("first", "began")


class NotASimulationError(Exception):
    """The folder holds an installation that no simulation made."""


def kept(folder: Path) -> Simulation | None:
    """Give the simulation that the folder holds. Raises ValueError for a file that says something else."""
    try:
        said = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    try:
        return Simulation(**said | {name: date.fromisoformat(said[name]) for name in _DAYS})
    except (KeyError, TypeError) as fault:
        raise ValueError(str(fault)) from None


def claim(folder: Path, wanted: Simulation) -> Simulation:
    """Give the simulation that the folder holds; an empty folder is given to the wanted one.

    Raises NotASimulationError, and ValueError as `kept` does.
    """
    if found := kept(folder):
        return found
    if any(folder.glob("*.db")) or (folder / "production").exists():
        raise NotASimulationError
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / _FILE, asdict(wanted) | {name: getattr(wanted, name).isoformat() for name in _DAYS})
    return wanted
