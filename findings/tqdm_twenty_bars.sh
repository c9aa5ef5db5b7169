#!/usr/bin/env bash
# tqdm 4.70.1: once twenty bars are open, closing a bar raises AttributeError while another thread is opening one.
#
#   4.66.0, 4.70.1   AttributeError: 'tqdm' object has no attribute 'sp', within a second (CPython 3.10 to 3.13)
# `close` looks for a bar below the twentieth line to move up into the free one, and takes one whose `__init__` has set `pos`
# and not yet `sp`; the lock is let go in between. Bars that draw nothing visible, as here, do it too.
# Exits non-zero when none is raised in a minute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for version in 4.66.0 4.70.1; do
  "$folder/venv/bin/pip" install -q "tqdm==$version"
  "$folder/venv/bin/python" - <<'PYTHON' | tee -a "$folder/found"
import io
import threading
import time

import tqdm

raised = []
threading.excepthook = lambda args: raised.append(f"{args.exc_type.__name__}: {args.exc_value}")
end = time.monotonic() + 60


def bar():
    return tqdm.tqdm(total=1, file=io.StringIO())


def open_and_close():
    while time.monotonic() < end and not raised:
        bar().close()


kept = [bar() for _ in range(20)]
threads = [threading.Thread(target=open_and_close) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(tqdm.__version__, *raised[:1])
PYTHON
done
diff "$folder/found" - <<'EXPECTED'
4.66.0 AttributeError: 'tqdm' object has no attribute 'sp'
4.70.1 AttributeError: 'tqdm' object has no attribute 'sp'
EXPECTED
