"""Makes the pages of this folder from the .proto files beside it: `make proto` runs it."""

from pathlib import Path

import yaml

import asyncapi
import pages
from described import Contract


def main() -> None:
    """Write a page for each service and the AsyncAPI document."""
    folder = Path(__file__).parent
    contract = Contract(folder.parent)
    for service in contract.services():
        (folder / f"{service.full_name.split('.')[1]}.md").write_text(pages.page(contract, service))
    text = yaml.safe_dump(asyncapi.document(contract), sort_keys=False, allow_unicode=True, width=120)
    (folder / "asyncapi.yaml").write_text(text)


if __name__ == "__main__":
    main()
