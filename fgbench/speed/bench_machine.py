"""The machine of a result file of pytest-benchmark."""

from typing import Any

Info = dict[str, Any] | str | None
"""Content of `machine_info` or `commit_info`: fields, a text, or null."""


def fields_of(info: Info, name: str) -> dict[str, Any]:
    """Return an entry of a file as fields: a text is the field `name`, and null has no fields.

    >>> fields_of("Xeon", "processor"), fields_of(None, "processor")
    ({'processor': 'Xeon'}, {})
    """
    return {name: info} if isinstance(info, str) else info or {}


def processor_of(machine: dict[str, Any]) -> tuple[str, Any]:
    """Return the name of the processor and its number of cores from the fields of `machine_info`, as far as known.

    >>> processor_of({"cpu": {"brand_raw": "Xeon", "count": 2}})
    ('Xeon', 2)
    """
    cpu = machine["cpu"] if isinstance(machine.get("cpu"), dict) else {}
    return str(cpu.get("brand_raw") or machine.get("processor") or machine.get("machine") or ""), cpu.get("count")
