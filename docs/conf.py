"""Sphinx: the pages of this folder, and the interfaces from the docstrings, one page a package. See ``make docs``."""

import ast
import importlib.util
import pkgutil
from pathlib import Path

from docutils import nodes

import vjepa_sim

project = "vjepa-sim"
copyright = "the authors of vjepa-sim"
version = release = vjepa_sim.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["arena"]  # evaluations that docs/baselines.md reports
html_theme = "furo"
myst_heading_anchors = 4  # links to headings work as on GitHub

autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "ignore-module-all": True,
    "exclude-members": "finger_side",
}
autodoc_mock_imports = ["franky", "franka_rs", "pyrealsense2", "pyzed", "octo", "jax", "cosmos_predict2"]
autoclass_content = "both"  # arguments are described at __init__
autodoc_member_order = "bysource"

nitpicky = True
nitpick_ignore_regex = [("py:class", r".*\._\w+"), ("py:obj", r".*\.T")]  # private bases, type variables
suppress_warnings = [
    "ref.python",  # `object` in a signature is found among attributes of that name as well
    "myst.xref_missing",  # README's links to files outside this folder; tests/test_docs.py checks all links
]


def constants(module):
    """A module's own constants, such as registries, and the comments behind them; autodoc has no place for these."""
    source = Path(importlib.util.find_spec(module).origin).read_text()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            for each in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(each, ast.Name) and each.id[0].isupper() and len(each.id) > 1:
                    yield each.id, source.splitlines()[node.lineno - 1].partition("  # ")[2]


def section(module, underline):
    """A module's part of a page."""
    lines = [module, underline * len(module), "", f".. automodule:: {module}", ""]
    for name, comment in constants(module):
        lines += [f".. py:data:: {name}", f"   :module: {module}", "", f"   {comment}", ""]
    return "\n".join([*lines, ""])


def write_api_pages(app):
    """One page a package, with all of its modules. The rooms envs, data and agents are links in vjepa_sim/."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    pages = {"vjepa_sim": []}
    for module in sorted(pkgutil.walk_packages(vjepa_sim.__path__, "vjepa_sim."), key=lambda module: module.name):
        if module.ispkg:
            pages[module.name] = []
        elif not module.name.endswith("__main__"):
            pages[module.name.rpartition(".")[0]].append(module.name)
    for package, modules in pages.items():
        text = section(package, "=") + "".join(section(module, "-") for module in modules)
        page = folder / f"{package}.rst"
        if not page.exists() or page.read_text() != text:
            page.write_text(text)
    for page in folder.glob("*.rst"):
        if page.stem not in pages:
            page.unlink()


def find_by_suffix(app, env, node, contnode):
    """Link types in signatures by their short names; those of other packages stay plain. Roles have to be found."""
    target = node["reftarget"]
    foreign = "." in target and not node.get("refspecific") and not target.startswith("vjepa_sim")
    if node.get("refdomain") != "py" or (isinstance(contnode, nodes.literal) and not foreign):
        return None
    domain = env.domains.python_domain
    found = domain.find_obj(env, None, None, target, node["reftype"], 1)
    if len(found) != 1:
        return contnode
    return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], found[0][0], node, contnode)


def setup(app):
    """Called by Sphinx."""
    app.connect("builder-inited", write_api_pages)
    app.connect("missing-reference", find_by_suffix)
