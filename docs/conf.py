"""The documentation site: Sphinx, without the network, every warning an error (``make docs``)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("HALFSIM_NUM_THREADS", "1")  # small products: handing them to threads takes longer

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from docs._ext.staging import STAGED, stage  # noqa: E402
from halfsim._version import __version__  # noqa: E402

project = "halfsim"
author = "The halfsim authors"
copyright = author
version = release = __version__

extensions = [
    "myst_nb",  # Markdown and notebooks
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "docs._ext.site",
]
exclude_patterns = [
    "_build",
    "auto_gallery/*.ipynb",
    "_ext",
    "_static",
    "gallery",
    "**/.ipynb_checkpoints",
    "jupyter_execute",
]

# Markdown, notebooks
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"  # run once for every change of the notebook
nb_execution_cache_path = str(DOCS / "_build" / "notebooks")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

# Docstrings
default_role = "py:obj"
nitpicky = True
autodoc_mock_imports = ["torch"]
autodoc_typehints = "none"  # the sections of a docstring say types, shapes and dtypes in words
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_use_plots = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 100

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "alpha"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

if (DOCS / "gallery").is_dir():
    extensions.append("sphinx_gallery.gen_gallery")
    sphinx_gallery_conf = {
        "examples_dirs": "gallery",
        "gallery_dirs": "auto_gallery",
        "abort_on_example_error": True,
        "download_all_examples": False,
        "min_reported_time": 1e9,  # times differ from run to run
        "write_computation_times": False,
        "show_memory": False,
        "remove_config_comments": True,
        "reference_url": {"halfsim": None},
        "backreferences_dir": None,
    }

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "halfsim"
html_favicon = "../halfsim/explore/static/icon.svg"
html_context = {"default_mode": "auto"}  # dark and light as the reader's system says
html_static_path = ["_static"]
html_css_files = ["halfsim.css"]
html_extra_path = [str(STAGED)]  # finished pages, copied as they are
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_prev_next": True,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {page: [] for page in ("index", "bibliography", "changelog", "tensor-cores", "reference/generated/*")}

stage()
