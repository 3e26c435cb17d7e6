"""Reads the code of the services and of the commands, once for all processes that tests fork from this one.

Invariant: nothing is begun here that a fork would not have: no thread, no connection, no open file.
"""

from services.common.process import read

for _service in ("catalog", "integration", "status"):
    for _room in ("app", "storage"):
        read(f"services.{_service}.{_room}")
for _name in ("server", "program", "migrations", "carry"):
    read(f"services.common.{_name}")
read("services.cli.main")
read("psycopg")
