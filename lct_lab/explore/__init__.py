"""The explorer of notebook 00: one size at a time, four pictures of it, with widgets or without.

`measure` computes what a picture shows, `panels` draws it with artists that are kept, `widgets`
joins both to controls.
"""

from lct_lab.book import contents
from lct_lab.explore.measure import Cancelled, Settings, loss_along, measure
from lct_lab.explore.panels import Panels, draw
from lct_lab.explore.widgets import Explorer, explorer, settings_of

__all__ = [
    "Cancelled",
    "Explorer",
    "Panels",
    "Settings",
    "contents",
    "draw",
    "explorer",
    "loss_along",
    "measure",
    "settings_of",
]
