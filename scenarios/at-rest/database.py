"""An application keeps its records in a database, and somebody carries its disk away."""

from tlslab import Lab, scenario


@scenario(group="at-rest", outcome="breached", twin="database_thief_gets_ciphertext")
async def database_thief_reads_plain_files(lab: Lab) -> None:
    """A database is files: whoever has them reads every row, and no password is asked for."""
    app = await lab.database_server("app.test")
    thief = lab.server_disk_thief(app)
    client = lab.client()
    record = lab.canary("customer record")

    await client.put(app.url("/customers/1"), record)

    lab.expect(thief).saw(record)


@scenario(group="at-rest", twin="database_thief_reads_plain_files")
async def database_thief_gets_ciphertext(lab: Lab) -> None:
    """Every page is encrypted under a key that only the KMS unwraps, which is not on this disk."""
    store = await lab.store()
    app = await lab.database_server("app.test", key_from=store)
    thief = lab.server_disk_thief(app)
    client = lab.client()
    record = lab.canary("customer record")

    await client.put(app.url("/customers/1"), record)
    await client.get(app.url("/customers/1"))

    lab.expect(client).received(record)
    lab.expect(thief).saw_no(record)
