"""Write a template without YAML merges, which checkov does not read.

Usage: expand.py TEMPLATE TARGET
"""

from __future__ import annotations

import sys
from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse

source, target = (Path(argument) for argument in sys.argv[1:])
target.write_text(yaml_dump(yaml_parse(source.read_text())))
