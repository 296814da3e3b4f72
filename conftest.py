"""Modules that stand on a package which is not installed are not looked through for doctests."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("threatexchange") else ["sdk/vhash_sdk/exchange/extension.py"]
