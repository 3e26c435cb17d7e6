"""The contract as its own files describe it: every message, enum and RPC with its comment.

Invariant: words come from the .proto files alone, so what is made of them cannot say anything else.
"""

import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_tools import protoc

# The numbers by which a location of the source names the parts of a file, of a message, of an enum and of a service.
_FILE_PARTS = {4: "message_type", 5: "enum_type", 6: "service"}
_PARTS = {
    "DescriptorProto": {2: "field", 3: "nested_type", 4: "enum_type", 8: "oneof_decl"},
    "EnumDescriptorProto": {2: "value"},
    "ServiceDescriptorProto": {2: "method"},
}


class Contract:
    """All .proto files of a folder."""

    def __init__(self, folder: Path) -> None:
        """Compile them. Raises ValueError where protoc refuses one; it has printed why."""
        files = sorted(str(file.relative_to(folder)) for file in folder.glob("tiendo/**/*.proto"))
        with tempfile.TemporaryDirectory() as made:
            output = Path(made) / "contract.binpb"
            include = Path(protoc.__file__).parent / "_proto"
            options = ["--include_source_info", "--include_imports", f"--descriptor_set_out={output}"]
            if protoc.main(["protoc", f"-I{folder}", f"-I{include}", *options, *files]):
                raise ValueError("protoc refused the contract")
            self._files = FileDescriptorSet.FromString(output.read_bytes()).file
        self._pool = DescriptorPool()
        for file in self._files:
            self._pool.Add(file)

    def message(self, name: str) -> Descriptor:
        """Give a message by its full name."""
        return self._pool.FindMessageTypeByName(name)

    def enum(self, name: str) -> EnumDescriptor:
        """Give an enum by its full name."""
        return self._pool.FindEnumTypeByName(name)

    def services(self) -> Iterator[ServiceDescriptor]:
        """Give every service."""
        for file in self._files:
            for service in file.service:
                yield self._pool.FindServiceByName(f"{file.package}.{service.name}")

    def words(self, part: Any) -> str:
        """Give the comment of a message, field, enum, service or RPC in one line; of a value by its enum and its name."""
        return self.words_of(part.full_name)

    def words_of(self, name: str) -> str:
        """Give the comment of what has this full name; a value's is that of its enum, a dot and its own."""
        return self._comments[name]

    @cached_property
    def _comments(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in self._files:
            for location in file.source_code_info.location:
                name = _name(file, list(location.path))
                if name:
                    found[name] = " ".join(location.leading_comments.split())
        return found


def _name(file: FileDescriptorProto, path: list[int]) -> str:
    """Give the full name of what a location stands for; nothing where it is no part that has a name."""
    part: Any = file
    names = [file.package]
    parts = _FILE_PARTS
    for kind, place in zip(path[::2], path[1::2], strict=False):
        if kind not in parts:
            return ""
        part = getattr(part, parts[kind])[place]
        names.append(part.name)
        parts = _PARTS.get(type(part).__name__, {})
    return ".".join(names) if len(names) > 1 and len(path) % 2 == 0 else ""


def types_in(root: Descriptor) -> list[Descriptor | EnumDescriptor]:
    """Give the messages and enums of ours that a message leads to, itself first, each once, in the order met."""
    found: dict[str, Descriptor | EnumDescriptor] = {}

    def meet(message: Descriptor) -> None:
        if message.full_name in found or not is_ours(message):
            return
        if not message.GetOptions().map_entry:  # a map's entry has no words of its own
            found[message.full_name] = message
        for field in message.fields:
            if field.message_type is not None:
                meet(field.message_type)
            elif field.enum_type is not None:
                found.setdefault(field.enum_type.full_name, field.enum_type)

    meet(root)
    return list(found.values())


def is_ours(message: Descriptor) -> bool:
    """Tell whether a message is of this contract, not of protobuf's own."""
    return str(message.full_name).startswith("tiendo.")


SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_BYTES: "bytes",
}
