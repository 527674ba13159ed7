"""The extensions of a faulty certificate: a good one's, with what its recipe changes.

Names are written octet by octet, since faulty ones are no names at all. Knows nothing of keys.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from tlslab.errors import UsageError
from tlslab.pki import der
from tlslab.pki.faults.recipe import NAME, AddedExtension, CertificateRecipe
from tlslab.pki.sct import poison_extension
from tlslab.pki.template import Extension, Template

_OIDS: Final = {
    "basic_constraints": ExtensionOID.BASIC_CONSTRAINTS,
    "key_usage": ExtensionOID.KEY_USAGE,
    "extended_key_usage": ExtensionOID.EXTENDED_KEY_USAGE,
    "names": ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    "subject_key_id": ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    "authority_key_id": ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    "crl_url": ExtensionOID.CRL_DISTRIBUTION_POINTS,
    "access": ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    "name_constraints": ExtensionOID.NAME_CONSTRAINTS,
    "must_staple": ExtensionOID.TLS_FEATURE,
}
"""What recipes call extensions."""

_TAGS: Final = {"mail": 0x81, "dns": 0x82, "uri": 0x86, "ip": 0x87}  # GeneralName, section 4.2.1.6

Name = tuple[str, str]


def alternative_names(recipe: CertificateRecipe) -> tuple[Name, ...]:
    """The names of a certificate as kind and text: its recipe's, or those of any server."""
    if recipe.names is None:
        names: list[Name] = [("dns", NAME)] if recipe.like == "server" else []
    else:
        names = [(kind, text) for kind, _, text in (name.partition(":") for name in recipe.names)]
    return (*names, *(("dns", f"n{number}.{NAME}") for number in range(recipe.name_count)))


def extensions_of(
    recipe: CertificateRecipe, template: Template, above: x509.Certificate | None
) -> tuple[Extension, ...]:
    """What `template` has, changed by the recipe. `above` is the issuer, None if self-signed."""
    found = {extension.oid: extension for extension in template.extensions}
    for extension in _changed(recipe, template, above):
        found[extension.oid] = extension
    for name in recipe.omit:
        found.pop(_OIDS[name], None)
    again = [found[_OIDS[name]] for name in recipe.repeat if _OIDS[name] in found]
    added = [_raw(one.oid, _added(one), critical=one.critical) for one in recipe.add]
    return (*found.values(), *again, *added)


def _changed(
    recipe: CertificateRecipe, template: Template, above: x509.Certificate | None
) -> Iterator[Extension]:
    names = alternative_names(recipe)
    if names:
        value = der.sequence(*map(_general_name, names))
        critical = not template.subject.rdns  # RFC 5280 section 4.2.1.6
        yield _raw(_OIDS["names"].dotted_string, value, critical=critical)
    if above is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key())  # type: ignore[arg-type]
        yield x509.Extension(identifier.oid, False, identifier)
    if recipe.ca is not None or recipe.path_length is not None:
        is_ca = recipe.ca if recipe.ca is not None else True
        constraints = x509.BasicConstraints(is_ca, recipe.path_length if is_ca else None)
        yield x509.Extension(constraints.oid, True, constraints)
    if recipe.permitted or recipe.excluded:
        value = der.sequence(_subtrees(0, recipe.permitted), _subtrees(1, recipe.excluded))
        yield _raw(_OIDS["name_constraints"].dotted_string, value, critical=True)
    if recipe.must_staple:
        feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
        yield x509.Extension(feature.oid, False, feature)
    if recipe.poison:
        poison = poison_extension()
        yield x509.Extension(poison.oid, True, poison)


def _raw(oid: str, value: bytes, *, critical: bool = False) -> Extension:
    identifier = x509.ObjectIdentifier(oid)
    return x509.Extension(identifier, critical, x509.UnrecognizedExtension(identifier, value))


def _added(recipe: AddedExtension) -> bytes:
    return bytes.fromhex(recipe.hex) + recipe.text.encode() + bytes(recipe.size)


def _subtrees(number: int, names: tuple[str, ...]) -> bytes:
    """GeneralSubtrees of RFC 5280 section 4.2.1.10; an IP range has its mask behind it."""
    if not names:
        return b""
    split = ((kind, text) for kind, _, text in (name.partition(":") for name in names))
    return der.tagged(number, *(der.sequence(_general_name(name)) for name in split))


def _general_name(name: Name) -> bytes:
    kind, text = name
    return der.tlv(_TAGS[kind], _packed(text) if kind == "ip" else text.encode())


def _packed(text: str) -> bytes:
    try:
        if "/" in text:
            network = ipaddress.ip_network(text)
            return network.network_address.packed + network.netmask.packed
        return ipaddress.ip_address(text).packed
    except ValueError as error:
        raise UsageError(f"{text!r} is no IP address or range") from error
