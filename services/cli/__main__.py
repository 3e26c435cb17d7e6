"""The command `tiendo`, and `python -m services.cli`."""

from services.common.process import be


def run() -> None:
    """Be the program."""
    be("services.cli.main")


if __name__ == "__main__":
    run()
