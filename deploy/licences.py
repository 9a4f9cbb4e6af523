"""What a package says of its licence → an SPDX licence expression, for every package one.

What stands for no licence of SPDX's list becomes a `LicenseRef-` of what was said, as SPDX has it.

Source: the SPDX specification, annex on licence expressions; Debian's machine-readable copyright format 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

_SAID = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause-uc": "BSD-4-Clause-UC",
    "expat": "MIT",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "zlib": "Zlib",
}
"""In small letters. Classifiers of Python packages are among them; `BSD License` says too little."""

_BY_ITS_TEXT = {
    "numpy": "BSD-3-Clause",
    "omegaconf": "BSD-3-Clause",
    "pymupdf": "AGPL-3.0-only OR LicenseRef-Artifex-Commercial",
    "pypdfium2": "BSD-3-Clause AND Apache-2.0 AND LicenseRef-Dependencies-Of-PDFium",
}
"""Packages whose metadata say less than the licence text that they bring."""

_GNU = re.compile(r"(?P<name>A?GPL|LGPL|GFDL)-(?P<version>\d(?:\.\d)?)(?P<later>\+?)", re.IGNORECASE)
_FIELD = re.compile(rb"^License:[ \t]*(\S.*)$", re.MULTILINE)


def of_python(name: str, said: Iterable[str]) -> str:
    """`said`: the expression, the field and the classifiers of a package, as far as there are such."""
    known = _BY_ITS_TEXT.get(name.lower().replace("_", "-"))
    found = (known,) if known else (spdx_of(one) for one in said if one.strip())
    return next((one for one in found if one), reference(f"{name}-see-its-text"))


def of_debian(name: str, copyright_file: bytes | None) -> str:
    """All licences that a package's copyright file names; a reference to that file where it names none."""
    named = {line.decode("utf-8", "replace").strip() for line in _FIELD.findall(copyright_file or b"")}
    if not named or b"copyright-format" not in (copyright_file or b""):
        return reference(f"Debian-{name}-copyright")
    return " AND ".join(sorted({_of_field(field) for field in named}))


def _of_field(field: str) -> str:
    """One `License` field: names joined by `and` and `or`, with commas where `and` binds loosely."""
    either = [
        " AND ".join(spdx_of(one) or reference(one) for one in re.split(r",? and |, ", choice) if one)
        for choice in re.split(r",? or ", field)
    ]
    return either[0] if len(either) == 1 else f"({' OR '.join(sorted(set(either)))})"


def spdx_of(said: str) -> str | None:
    """The SPDX expression that `said` is or stands for."""
    text = said.strip().splitlines()[0].strip()
    if text.lower() in _SAID:
        return _SAID[text.lower()]
    if gnu := _GNU.fullmatch(text):
        version = gnu["version"] if "." in gnu["version"] else f"{gnu['version']}.0"
        return _canonical(f"{gnu['name'].upper()}-{version}-{'or-later' if gnu['later'] else 'only'}")
    return _canonical(text)


def _canonical(text: str) -> str | None:
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return None


def reference(text: str) -> str:
    """A name of our own for what is on no list."""
    return f"LicenseRef-{re.sub(r'[^A-Za-z0-9.]+', '-', text).strip('-')[:80]}"
