"""The rule behind each X509 error number that a verification of a path can end with."""

from __future__ import annotations

from typing import Final

_PATH = "RFC 5280 section"

RULES: Final[dict[int, str]] = {
    2: f"{_PATH} 6.1.1(d)",
    4: f"{_PATH} 6.1.3(a)(1)",
    6: f"{_PATH} 4.1.2.7",
    7: f"{_PATH} 6.1.3(a)(1)",
    9: f"{_PATH} 6.1.3(a)(2)",
    10: f"{_PATH} 6.1.3(a)(2)",
    13: f"{_PATH} 4.1.2.5",
    14: f"{_PATH} 4.1.2.5",
    18: f"{_PATH} 6.1.1(d)",
    19: f"{_PATH} 6.1.1(d)",
    20: f"{_PATH} 6.1.1(d)",
    21: f"{_PATH} 6.1.1(d)",
    22: f"{_PATH} 6.1",
    24: f"{_PATH} 6.1.4(k)",
    25: f"{_PATH} 6.1.4(m)",
    26: f"{_PATH} 4.2.1.12",
    27: f"{_PATH} 6.1.1(d)",
    28: f"{_PATH} 6.1.1(d)",
    29: f"{_PATH} 6.1.3(a)(4)",
    30: f"{_PATH} 4.2.1.1",
    31: f"{_PATH} 4.2.1.1",
    32: f"{_PATH} 6.1.4(n)",
    34: f"{_PATH} 6.1.5(f)",
    37: f"{_PATH} 4.2.1.3",
    38: "RFC 3820 section 3.8",
    39: f"{_PATH} 4.2.1.3",
    40: "RFC 3820 section 3",
    41: f"{_PATH} 4.2",
    42: f"{_PATH} 4.2.1.4",
    43: f"{_PATH} 6.1.5(g)",
    47: f"{_PATH} 6.1.3(b)",
    48: f"{_PATH} 6.1.3(c)",
    49: f"{_PATH} 4.2.1.10",
    51: f"{_PATH} 4.2.1.10",
    52: f"{_PATH} 4.2.1.10",
    53: f"{_PATH} 4.2.1.10",
    62: "RFC 9525 section 6.3",
    64: "RFC 9525 section 6.4",
    66: "CABF BR section 6.1.5",
    67: "CABF BR section 6.1.5",
    68: "CABF BR section 7.1.3.2",
    79: f"{_PATH} 6.1.4(k)",
}


def rule_of(number: int | None) -> str:
    """The rule that a certificate refused with this number breaks; path validation in general."""
    return RULES.get(number or 0, f"{_PATH} 6.1")
