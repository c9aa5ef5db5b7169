#!/usr/bin/env bash
# setuptools 84.2.1 on Python 3.10 and 3.11: after `importlib.util.find_spec("pip")` it cannot be imported any more.
#
# Its finder for `distutils`, which a .pth file puts first in every process, takes any look for pip as pip at work and
# steps aside for good, so that Python's own `distutils` is found. The import of setuptools asserts that it is not.
#   import setuptools                                        imported
#   find_spec("pip"), then import setuptools                 AssertionError: .../distutils/core.py
#   PathFinder.find_spec("pip"), then import setuptools      imported
#   import setuptools, then find_spec("pip")                 a UserWarning that an imported distutils is replaced
# `torch.compile` imports setuptools on a CPU, so a program that has looked whether there is pip compiles nothing.
# Python 3.12 has no distutils of its own. Exits non-zero when the second line imports.
set -euo pipefail
python=$(command -v python3.11 || command -v python3.10 || command -v python3)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q setuptools==84.2.1
try() { { "$folder/venv/bin/python" -c "$1" 2>&1 || true; } | tail -n 1 | sed -E 's#: /.*(/distutils/core.py)#: ...\1#'; }
alone=$(try 'import setuptools; print("imported")')
after=$(try 'from importlib.util import find_spec; find_spec("pip"); import setuptools; print("imported")')
past=$(try 'from importlib.machinery import PathFinder; PathFinder.find_spec("pip"); import setuptools; print("imported")')
before=$(try 'import warnings; warnings.simplefilter("error"); import setuptools; from importlib.util import find_spec; find_spec("pip")')
printf '%s\n' "$alone" "$after" "$past" "${before%%:*}"
[ "$alone" = imported ] && [ "$after" = "AssertionError: .../distutils/core.py" ] && [ "$past" = imported ] &&
  [ "${before%%:*}" = UserWarning ]
