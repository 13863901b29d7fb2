"""The reference of the gRPC services, from the descriptors that clients and servers are built on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from phonexia.grpc.common import licensing_pb2, status_pb2
from phonexia.grpc.technologies.gender_identification.v1 import gender_identification_pb2
from phonexia.grpc.technologies.speaker_identification.v1 import speaker_identification_pb2

from docs_site.markdown import table

_SERVICES = (
    gender_identification_pb2.DESCRIPTOR.services_by_name["GenderIdentification"],
    speaker_identification_pb2.DESCRIPTOR.services_by_name["VoiceprintExtraction"],
    licensing_pb2.DESCRIPTOR.services_by_name["Licensing"],
    status_pb2.DESCRIPTOR.services_by_name["Status"],
)
_OWN = "phonexia."


def markdown() -> str:
    """Return a section for each service, and one for each message that they exchange."""
    methods = [method for service in _SERVICES for method in service.methods]
    services = [
        f"### {service.name}\n\n`{service.full_name}`\n\n"
        + table(["call", "takes", "answers"], [_method(method) for method in service.methods])
        for service in _SERVICES
    ]
    messages = _reached([message for method in methods for message in (method.input_type, method.output_type)])
    return "\n".join(["## Services\n", *services, "## Messages\n", *(_message(message) for message in messages)])


def _method(method: MethodDescriptor) -> list[str]:
    streams: Any = method  # the stubs leave these two out
    takes = "stream of " * streams.client_streaming + _link(method.input_type)
    answers = "stream of " * streams.server_streaming + _link(method.output_type)
    return [f"`{method.name}`", takes, answers]


def _message(message: Descriptor) -> str:
    fields = table(["number", "field", "type"], [_field(field) for field in message.fields])
    return f"### {message.name}\n\n`{message.full_name}`\n\n{fields or 'It has no fields.'}\n"


def _field(field: FieldDescriptor) -> list[str]:
    if field.message_type is None:
        kind = ", ".join(f"`{value.name}`" for value in field.enum_type.values) if field.enum_type else _scalar(field)
    elif field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return [str(field.number), f"`{field.name}`", f"map of {_scalar(key)} to {_scalar(value)}"]
    else:
        kind = _link(field.message_type)
    return [str(field.number), f"`{field.name}`", "list of " * field.is_repeated + kind]


def _scalar(field: FieldDescriptor) -> str:
    names = {
        getattr(FieldDescriptor, name): name[5:].lower() for name in dir(FieldDescriptor) if name.startswith("TYPE_")
    }
    return names[field.type]


def _link(message: Descriptor) -> str:
    return f"[{message.name}](#{message.name.lower()})" if message.full_name.startswith(_OWN) else message.full_name


def _reached(begin: Iterable[Descriptor]) -> list[Descriptor]:
    """Return these messages and all that they hold, each once."""
    found: dict[str, Descriptor] = {}
    waiting = list(begin)
    while waiting:
        message = waiting.pop(0)
        if message.full_name in found or not message.full_name.startswith(_OWN):
            continue
        found[message.full_name] = message
        waiting.extend(
            field.message_type
            for field in message.fields
            if field.message_type and not field.message_type.GetOptions().map_entry
        )
    return list(found.values())
