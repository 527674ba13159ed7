"""Nothing is read, and all is known: which page it was is told from how many bytes it had.

In TLS 1.3 n bytes become n + 22 on the wire, no more and no less.
"""

from tlslab import Lab, Version, scenarios

PAGES = {
    "/colds": b"Drink tea and stay in bed.\n" * 40,
    "/fever": b"Drink tea, stay in bed, and call us if it lasts.\n" * 60,
    "/rash!": b"Please come and see us tomorrow.\n" * 25,
}
PADDED = {path[:5]: page.ljust(4096) for path, page in PAGES.items()}

VERSIONS = {
    "TLS 1.2": {"version": Version.TLS_1_2},
    "TLS 1.3": {"version": Version.TLS_1_3},
}


@scenarios(VERSIONS, group="metadata", outcome="breached",
           twin="pages_of_one_size_tell_nothing[{case}]")  # fmt: skip
async def sizes_tell_which_page_was_read(lab: Lab, version: Version) -> None:
    """An onlooker looks at every page itself, and then knows which one a patient reads ({version}).

    It opens nothing. Whatever the cipher, it hides what is said, and not how much.
    """
    clinic = await lab.server("clinic.test", pages=PAGES)
    patient, own = lab.client("patient", maximum=version), lab.client("own", maximum=version)
    onlooker = lab.onlooker("sizes")

    for path in PAGES:
        with onlooker.studying(path):
            await own.get(clinic.url(path))
    with onlooker.guessing("/fever"):
        await patient.get(clinic.url("/fever"))

    lab.expect(onlooker).achieved("inferred")
    lab.expect(onlooker).learned(guess="/fever")


@scenarios(VERSIONS, group="metadata", twin="sizes_tell_which_page_was_read[{case}]")
async def pages_of_one_size_tell_nothing(lab: Lab, version: Version) -> None:
    """Pages padded to one size, under paths of one length, look all the same."""
    clinic = await lab.server("clinic.test", pages=PADDED)
    patient, own = lab.client("patient", maximum=version), lab.client("own", maximum=version)
    onlooker = lab.onlooker("sizes")

    for path in PADDED:
        with onlooker.studying(path):
            await own.get(clinic.url(path))
    with onlooker.guessing("/feve"):
        await patient.get(clinic.url("/feve"))

    lab.expect(onlooker).achieved_nothing()
    lab.expect(onlooker).learned(guess="unknown", resembles="/cold, /feve, /rash")
