"""An endpoint: the object store, the KMS and the audit trail behind one door, for real clients.

    door.py      connections in, each known by how it came
    dispatch.py  which service a request is for
    sts.py       who am I
    backend.py   everything behind it, opened
    state.py     where it lies on one machine

What the services do, and how they speak, is theirs; here they are only put together.
"""

from tlslab.endpoint.backend import REGIONS, Backend, Settings, open_backend
from tlslab.endpoint.dispatch import Dispatch
from tlslab.endpoint.door import Door
from tlslab.endpoint.state import StateFolder

__all__ = ["REGIONS", "Backend", "Dispatch", "Door", "Settings", "StateFolder", "open_backend"]
