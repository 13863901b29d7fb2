"""Print the bill of materials of what ``make serve`` installs, as CycloneDX JSON; run by ``make sbom``.

It holds no time and no random number: the same lists and files give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import Any

from licences import PROJECT, declared, read_pins

PACKAGE = PROJECT / "src/voxgender"
EXTRACTOR = PACKAGE / "models/ge2e-2/extractor"

# What the wheel carries of others, and the trained files of our own: name, version, licence, file, kind.
CARRIED = [
    ("write-excel-file", "4.1.1", "MIT", PACKAGE / "web/assets/vendor/write-excel-file.min.js", "library"),
    ("Resemblyzer", "0.1.4", "Apache-2.0", EXTRACTOR / "encoder.onnx", "machine-learning-model"),
    ("silero-vad", "6.2.3", "MIT", EXTRACTOR / "vad.onnx", "machine-learning-model"),
    ("voxgender-gender", "2.0.0", "Apache-2.0", EXTRACTOR / "gender.onnx", "machine-learning-model"),
    ("voxgender-head", "2", "Apache-2.0", EXTRACTOR.parent / "head/head.safetensors", "machine-learning-model"),
]


def bill() -> dict[str, Any]:
    """The bill of materials; a pinned package that another platform alone needs is in it, without a licence.

    A package's hashes are those of all files of its release, of which a platform installs one.
    """
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    pins = read_pins(PROJECT / "requirements/serve.txt")
    licences = declared(pins)
    packages = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{pin.name}@{pin.version}",
            "name": pin.name,
            "version": pin.version,
            "purl": f"pkg:pypi/{pin.name}@{pin.version}",
            "scope": "required" if pin.needed_here else "optional",
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.hashes],
            **({"licenses": _licences(licences[pin.name])} if pin.needed_here else {}),
        }
        for pin in pins
    ]
    carried = [
        {
            "type": kind,
            "bom-ref": f"carried:{name}@{version}",
            "name": name,
            "version": version,
            "description": f"{path.relative_to(PACKAGE.parent).as_posix()} in the wheel",
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
            "licenses": _licences(licence),
        }
        for name, version, licence, path, kind in CARRIED
    ]
    root = f"pkg:pypi/{project['name']}@{project['version']}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": project["name"],
                "version": project["version"],
                "purl": root,
                "licenses": _licences(project["license"]),
            }
        },
        "components": [*packages, *carried],
    }


def _licences(told: str) -> list[dict[str, Any]]:
    """A licence as the format has it; "BSD" alone is no name of SPDX."""
    return [{"license": {"name": told}}] if told == "BSD" else [{"expression": told}]


if __name__ == "__main__":
    print(json.dumps(bill(), indent=2))
