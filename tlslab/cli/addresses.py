"""Addresses on the command line."""

from __future__ import annotations

import ipaddress

import click


def ip_address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """An option's value that must be an IP address, as its callback."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an IP address") from None
