"""Types of the fields of a record that are plain dictionaries."""

from typing import Any

from pydantic import AfterValidator, BaseModel, Field


class ProtocolFields(BaseModel):
    """Types of the fields of a protocol; `fgbench.runs.protocol.Protocol` describes them."""

    data: str = ""
    annotations: str
    images: str
    classes: int = Field(ge=1, lt=2**31)
    train_images: int = Field(ge=1, lt=2**31)
    test_images: int = Field(ge=1, lt=2**31)
    train_sees: list[str]
    test_sees: list[str]
    metrics: list[tuple[str, str]] = []
    selection: str = ""
    control: str = "none"


class SettingsFields(BaseModel):
    """Types of the settings that are used without the recipe; `fgbench.papers.settings.Settings` describes them."""

    backbones: list[str] = []
    stages: dict[str, Any] = {}


class ProvenanceFields(BaseModel):
    """Types of the fields of the provenance that are used in computations; the others are only shown."""

    packages: dict[str, str] = {}


def checked_fields(fields: type[BaseModel]) -> AfterValidator:
    """Return a validator of a dictionary that checks the types of these fields and keeps the dictionary as it is."""

    def check(content: dict[str, Any]) -> dict[str, Any]:
        fields.model_validate(content)
        return content

    return AfterValidator(check)
