"""How Sphinx builds the documentation site from these pages; run by ``make docs``."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from docs_site import extension

project = "voxgender"
author = "the voxgender authors"
copyright = "the voxgender authors, Apache License 2.0"
release = importlib.metadata.version("voxgender")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conf.py"]

# Links of the form page.md#a-heading are checked, as GitHub makes the names of headings.
myst_heading_anchors = 4
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
# Attributes that a class describes and also defines are one thing, not two.
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
add_module_names = False

html_theme = "furo"
html_title = "voxgender"
# Every page is in the contents; an index of names would be a second, worse one.
html_use_index = False
html_domain_indices = False
html_copy_source = False
html_show_sourcelink = False
# Summaries beside the results of a search are fetched, which a browser refuses for pages that are opened as files.
html_show_search_summary = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

setup = extension.setup
