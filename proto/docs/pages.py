"""The gRPC side as a page for each service: its RPCs, their messages, every field with its bounds.

Invariant: a page is whole: each type that it names is described on it.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor

from described import SCALARS, Contract, is_ours, types_in


def page(contract: Contract, service: ServiceDescriptor) -> str:
    """Make the page of a service, in Markdown."""
    file = service.file.name
    lines = [f"# {service.full_name}", "", contract.words(service), ""]
    lines += [
        f"Made from [{file.rpartition('/')[2]}](../{file}) by `make proto`. Errors: [ErrorReason](#errorreason).",
        "",
    ]
    lines += ["| RPC | what it does |", "| --- | --- |"]
    lines += [f"| {_link(method.name)} | {_cell(contract.words(method))} |" for method in service.methods]
    shown: dict[str, Any] = {}
    for method in service.methods:
        lines += ["", *_method(contract, method)]
        for root in (method.input_type, method.output_type):
            for described in types_in(root)[1:]:
                shown.setdefault(described.full_name, described)
    errors = contract.enum("tiendo.common.v1.ErrorReason")
    shown[errors.full_name] = errors
    lines += ["", "## Types"]
    names = [str(one.name).lower() for one in (*shown.values(), *service.methods)]
    if len(set(names)) < len(names):
        raise ValueError(f"two parts of {service.full_name} have one name, and links would not tell them apart")
    for described in sorted(shown.values(), key=lambda one: str(one.name)):
        lines += ["", f"### {described.name}", "", contract.words(described), "", *_table(contract, described)]
    return "\n".join(lines) + "\n"


def _method(contract: Contract, method: MethodDescriptor) -> Iterator[str]:
    yield from (f"## {method.name}", "", contract.words(method))
    for root, title, many in (
        (method.input_type, "Request", method.client_streaming),
        (method.output_type, "Response", method.server_streaming),
    ):
        yield from ("", f"**{title}** `{'stream ' if many else ''}{root.name}`: {contract.words(root)}")
        if root.fields:
            yield from ("", *_table(contract, root))


def _table(contract: Contract, described: Descriptor | EnumDescriptor) -> Iterator[str]:
    if isinstance(described, EnumDescriptor):
        yield from ("| value | number | meaning |", "| --- | --- | --- |")
        for value in described.values:
            words = contract.words_of(f"{described.full_name}.{value.name}")
            yield f"| `{value.name}` | {value.number} | {_cell(words)} |"
        return
    if not described.fields:
        yield "No fields."
        return
    yield from ("| field | type | what it is |", "| --- | --- | --- |")
    for field in described.fields:
        yield f"| `{field.name}` | {_type(field)} | {_cell(contract.words(field))} |"


def _type(field: FieldDescriptor) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return f"map of {_type(key)} to {_type(value)}"
    if field.message_type is not None:
        name = field.message_type.name
        one = _link(name) if is_ours(field.message_type) else f"`{field.message_type.full_name}`"
    elif field.enum_type is not None:
        one = _link(field.enum_type.name)
    else:
        one = f"`{SCALARS[field.type]}`"
    if field.is_repeated:
        return f"repeated {one}"
    if field.containing_oneof is not None and len(field.containing_oneof.fields) > 1:
        return f"{one}, one of `{field.containing_oneof.name}`"
    is_optional = field.containing_oneof is not None
    return f"optional {one}" if is_optional else one


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;")
