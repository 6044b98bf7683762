"""What `name` means in docstrings and pages: a link where the name is public, else code."""

import inspect
import re

from docutils import nodes
from public import public_names
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

PUBLIC = {f"{module}.{name}" for module, names in public_names().items() for name in names}
CALL = re.compile(r"(?:[\w, ]+ = )?(?:simdrop|sd)\.([\w.]+)(?:\((?:(?!\)\.).)*\))?$")


def link_or_code(name, rawtext, text, lineno, inliner, options=None, content=()):
    env = inliner.document.settings.env
    plain = text.removesuffix("()")
    inside = env.ref_context.get("py:module") or "simdrop"
    for target in (plain, f"{inside}.{plain}", f"simdrop.{plain}"):
        if any(".".join(target.split(".")[:n]) in PUBLIC for n in (2, 3, 4)):
            node = nodes.literal(rawtext, text, classes=["xref", "py", "py-obj"])
            return [linked(node, target, env.docname)], []
    return [nodes.literal(rawtext, text)], []


class LinkNames(SphinxTransform):
    """In Markdown, code that is a public name or a call of one links to it: `sd.dropout(x, p)`."""

    default_priority = 5

    def apply(self, **_):
        for node in list(self.document.findall(nodes.literal)):
            found = CALL.match(node.astext())
            name = f"simdrop.{found[1]}" if found else ""
            if name not in PUBLIC or isinstance(node.parent, pending_xref | nodes.reference):
                continue
            node["classes"] += ["xref", "py", "py-obj"]
            node.replace_self(linked(node, name, self.env.docname))


def linked(node, target, docname):
    link = pending_xref("", refdomain="py", reftype="obj", reftarget=target, refexplicit=True)
    link["refdoc"], link["refwarn"] = docname, True
    link += node.deepcopy()
    return link


def signature_of_subclass(app, what, name, obj, options, signature, returns):
    """The arguments of a class of ours, where autodoc shows those of a mocked base class."""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    if not obj.__init__.__module__.startswith("simdrop"):  # a mocked one: it says nothing
        return "", returns
    own = inspect.signature(obj.__init__)
    plain = [one.replace(annotation=one.empty) for one in [*own.parameters.values()][1:]]
    return str(own.replace(parameters=plain, return_annotation=own.empty)), returns


def setup(app):
    app.add_role("public", link_or_code)
    app.connect("autodoc-process-signature", signature_of_subclass)
    app.add_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
