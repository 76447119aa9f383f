"""Writes the sandbox's table of ARM request models from the published Python clients.

The clients are generated from Microsoft's own API descriptions, so their models say which properties a request may
have, of which type, and which are read-only. Run it after a change of the pinned versions:

    python describe_models.py > ../../crates/privnet-sandbox/src/azure/models.json

In the table a property is `[type, access]`. The type is `s` text, `n` number, `b` true or false, `o` anything, `m` a
map of texts, `e:` one of the listed words, `[T` a list of T, or the name of another model; the access is `r` (only in answers)
or `w`.
"""

import enum
import json
import sys
import typing

import azure.mgmt.compute.models as compute
import azure.mgmt.network.models as network

ROOTS = [
    (network, "VirtualNetwork"),
    (network, "Subnet"),
    (network, "LoadBalancer"),
    (network, "BackendAddressPool"),
    (network, "InboundNatRule"),
    (network, "NetworkInterface"),
    (network, "PublicIPAddress"),
    (network, "NetworkSecurityGroup"),
    (network, "SecurityRule"),
    (network, "PrivateEndpoint"),
    (network, "PrivateLinkService"),
    (network, "PrivateEndpointConnection"),
    (compute, "VirtualMachineScaleSet"),
    (compute, "VirtualMachine"),
]

# Words that the clients list and that are open all the same: of machines' sizes the description says that its list is deprecated, and that
# https://learn.microsoft.com/rest/api/compute/resource-skus/list tells them.
OPEN = ("VirtualMachineSizeTypes",)


def is_model(kind):
    return isinstance(kind, type) and hasattr(kind, "_deserialize") and kind.__module__.endswith("models._models")


def type_code(module, kind, wanted):
    origin = typing.get_origin(kind)
    if origin is typing.Union:
        parts = [part for part in typing.get_args(kind) if part is not type(None)]
        enums = [part for part in parts if isinstance(part, type) and issubclass(part, enum.Enum)]
        if enums and enums[0].__name__ in OPEN:
            return "s"
        if enums:
            return "e:" + ",".join(member.value for member in enums[0])
        return type_code(module, parts[0], wanted)
    if origin is list:
        return "[" + type_code(module, typing.get_args(kind)[0], wanted)
    if origin is dict:
        return "m" if typing.get_args(kind)[1] is str else "o"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "e:" + ",".join(member.value for member in kind)
    if kind is str:
        return "s"
    if kind is bool:
        return "b"
    if kind in (int, float):
        return "n"
    if is_model(kind):
        wanted.append((module, kind.__name__))
        return module.__name__.split(".")[2] + "." + kind.__name__
    return "o"


def resolve(module, annotation):
    scope = {"_models": module, "_unions": module, "datetime": __import__("datetime"), "list": list, "dict": dict}
    scope.update(vars(typing))
    if isinstance(annotation, str):
        return eval(annotation, scope)  # the clients' own annotations
    return typing._eval_type(annotation, scope, scope) if hasattr(typing, "_eval_type") else annotation


def describe(module, name, wanted):
    model = getattr(module, name, None) or getattr(sys.modules[module.__name__ + "._models"], name)
    fields = {}
    for base in reversed(model.__mro__):
        for attribute, annotation in getattr(base, "__annotations__", {}).items():
            field = vars(base).get(attribute)
            if not hasattr(field, "_rest_name_input"):
                continue
            scope_module = sys.modules[base.__module__]
            scope = dict(vars(scope_module))
            scope["_models"] = module
            kind = eval(annotation, scope) if isinstance(annotation, str) else annotation
            kind = strip_forward(kind, scope)
            writable = field._visibility is None or any(word in ("create", "update") for word in field._visibility)
            fields[field._rest_name_input or attribute] = [
                type_code(module, kind, wanted if writable else []),
                "w" if writable else "r",
            ]
    return fields


def strip_forward(kind, scope):
    if isinstance(kind, typing.ForwardRef):
        return strip_forward(eval(kind.__forward_arg__, scope), scope)
    if isinstance(kind, str):
        return strip_forward(eval(kind, scope), scope)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if not arguments:
        return kind
    stripped = tuple(strip_forward(part, scope) for part in arguments)
    if origin is typing.Union:
        return typing.Union[stripped]
    if origin is list:
        return typing.List[stripped[0]]
    if origin is dict:
        return typing.Dict[stripped]
    return kind


def main():
    table, wanted = {}, list(ROOTS)
    while wanted:
        module, name = wanted.pop()
        key = module.__name__.split(".")[2] + "." + name
        if key not in table:
            table[key] = {}
            table[key] = describe(module, name, wanted)
    for fields in table.values():
        for field in fields.values():
            if field[1] == "r" and "." in field[0]:
                field[0] = "o"  # never checked: dropped from requests
    lines = [json.dumps(key) + ":" + json.dumps(table[key], separators=(",", ":"), sort_keys=True) for key in sorted(table)]
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
