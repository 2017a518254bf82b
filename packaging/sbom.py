"""sbom.py EXECUTABLE FILE: the parts of the executable, as it tells them itself, as CycloneDX 1.6 in FILE."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

# Makes the serial number of a document a function of what it describes.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "mutt-appliance")


def document(info: dict[str, Any]) -> str:
    """CycloneDX as JSON; raises ValueError when the schema does not accept it."""
    licences = LicenseFactory()
    main = Component(
        name=info["name"],
        version=info["version"],
        type=ComponentType.APPLICATION,
        bom_ref="mutt",
        licenses=[licences.make_from_string("MIT")],
    )
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, json.dumps(info, sort_keys=True)))
    bom.metadata.component = main
    if info["build_date"]:
        bom.metadata.timestamp = datetime.fromisoformat(info["build_date"])
    parts = [_part(each, licences) for each in info["components"]]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(main, parts)
    text = str(JsonV1Dot6(bom).output_as_string(indent=1))
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        raise ValueError(f"the SBOM is not valid CycloneDX 1.6: {fault}")
    return text


def _part(each: dict[str, str], licences: LicenseFactory) -> Component:
    known = [] if each["licence"] == "unknown" else [licences.make_from_string(each["licence"])]
    python = each["kind"] == "python"
    return Component(
        name=each["name"],
        version=each["version"],
        type=ComponentType.LIBRARY,
        bom_ref=f"{each['kind']}:{each['name']}",
        licenses=known,
        purl=PackageURL(
            type="pypi" if python else "generic",
            name=each["name"].lower().replace("_", "-").replace(" ", "-"),
            version=each["version"],
        ),
    )


def main(executable: str, file: str) -> int:
    """Write the document."""
    told = subprocess.run([executable, "version", "--json"], capture_output=True, text=True, check=True)
    text = document(json.loads(told.stdout))
    Path(file).write_text(f"{text}\n", encoding="utf-8")
    print(f"sbom: {file}: {len(json.loads(text)['components'])} components")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
