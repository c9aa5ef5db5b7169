#!/usr/bin/env bash
# attrs 26.1.0: each record keeps a copy of its module's names as they stood, so a module's memory grows by the square.
#
# What attrs writes for a record (`__init__` and others) is compiled with a dictionary of its own, into which all names of
# the module so far are put, and which the record's methods hold for ever. `dataclasses` compile with the module's own.
#   lsprotocol 2025.0.0, 554 records       554 dictionaries, from 88 to 690 names each: 5.5 of the 14.8 MB that the
#                                          import of `lsprotocol.types` takes by tracemalloc
#   500 and 1,000 records in a module      3.8 and 14.6 MB
#   a dataclass in the same module         the module's own dictionary
# Exits non-zero when records no longer have dictionaries of their own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q attrs==26.1.0 lsprotocol==2025.0.0
cd "$folder"
for count in 500 1000; do
  "$folder/venv/bin/python" - "$count" >"records_$count.py" <<'PYTHON'
import sys

print("import attrs, dataclasses\n\n@dataclasses.dataclass\nclass Plain:\n    field: int\n")
for number in range(int(sys.argv[1])):
    print(f"@attrs.define\nclass Record{number}:\n    field: int\n")
PYTHON
done
"$folder/venv/bin/python" - <<'PYTHON'
import importlib
import sys
import tracemalloc

import attrs

tracemalloc.start()
from lsprotocol import types

whole = tracemalloc.get_traced_memory()[0]
tracemalloc.stop()


def dictionaries(module):
    """Those that the methods of a module's records hold, by identity."""
    records = [found for found in vars(module).values() if isinstance(found, type) and attrs.has(found)]
    return {id(record.__init__.__globals__): record.__init__.__globals__ for record in records}, len(records)


def megabytes(found):
    return sum(map(sys.getsizeof, found.values())) / 1e6


found, n_records = dictionaries(types)
sizes = sorted(map(len, found.values()))
print(
    f"lsprotocol: {n_records} records, {len(found)} dictionaries of {sizes[0]} to {sizes[-1]} names, "
    f"{megabytes(found):.1f} of {whole / 1e6:.1f} MB"
)
sys.path.insert(0, ".")
taken = {}
for count in (500, 1000):
    module = importlib.import_module(f"records_{count}")
    found, n_records = dictionaries(module)
    taken[count] = megabytes(found)
    own = module.Plain.__init__.__globals__ is vars(module)
    print(f"{n_records} records: {len(found)} dictionaries, {taken[count]:.1f} MB; a dataclass has the module's: {own}")
sys.exit(not (len(found) == n_records and own and taken[1000] > 3 * taken[500]))
PYTHON
