"""What runs the notebooks: `tools/run_notebook.py` is the command."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # this clone's package, also where another one is installed

# Checking a notebook's form would first build a grammar of web addresses, for two seconds of every
# run; jsonschema does without where this package is missing.
sys.modules.setdefault("rfc3987_syntax", None)
