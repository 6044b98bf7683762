"""How Sphinx builds this site: `make docs` writes it to build/docs/html."""

import os
import sys
from pathlib import Path

# The examples multiply small matrices in two processes: threads of BLAS would only compete.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

from sphinx.ext.autodoc.mock import _MockObject  # noqa: E402

import simdrop  # noqa: E402

# Frameworks are mocked. Adapters register rules in them, enter their contexts and join their types.
_MockObject.__setitem__ = lambda self, key, value: None
_MockObject.__or__ = _MockObject.__ror__ = lambda self, other: self
_MockObject.__enter__ = lambda self: self
_MockObject.__exit__ = lambda self, *error: None

project = "simdrop"
author = "the simdrop developers"
copyright = author
release = version = simdrop.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    # In _ext:
    "mathml",
    "generated",
    "names",
]
exclude_patterns = [
    "gallery/sg_execution_times.rst",
    "sg_execution_times.rst",
    "_ext",
    "_templates",
]
templates_path = ["_templates"]

# Everything that can be checked without a network is an error if it is wrong.
nitpicky = True
# There are no inventories of other projects here, since the site is built offline.
nitpick_ignore_regex = [
    (r"py:.*", r"(numpy|torch|jax|flax|dask|sklearn|autograd|mpi4py|ml_dtypes)\b.*"),
]
linkcheck_timeout = 20

# --- Markdown ---

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# --- Reference ---

# The site needs none of them, and is the same where they are installed.
autodoc_mock_imports = ["autograd", "dask", "flax", "jax", "jaxlib", "mpi4py", "torch"]
autodoc_mock_imports += ["simdrop.torch._eager"]  # compiled, with a base class of PyTorch's
autodoc_typehints = "none"  # docstrings say it in words
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False  # the template of classes lists them
numpydoc_attributes_as_param_list = True
default_role = "public"
add_module_names = False
toc_object_entries_show_parents = "hide"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# --- Gallery ---

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"setup\.py$",
    "within_subsection_order": "order.ByReading",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "plot_gallery": "True",
    "matplotlib_animations": False,
    "min_reported_time": 0,
    "parallel": 2,
    "abort_on_example_error": True,
    "thumbnail_size": (400, 280),
    "copyfile_regex": r".*\.png",
}

# --- HTML ---

html_theme = "pydata_sphinx_theme"
html_title = "simdrop"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "logo": {"text": "simdrop"},
    "header_links_before_dropdown": 8,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_nav_level": 1,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "github-light",
    "pygments_dark_style": "github-dark",
    "back_to_top_button": True,
}
html_sidebars = {page: [] for page in ("index", "install", "pitfalls", "contributing", "changelog")}
