"""What `name` means in docstrings and pages: a link where the name is public, else code."""

from docutils import nodes
from public import public_names
from sphinx.addnodes import pending_xref

PUBLIC = {f"{module}.{name}" for module, names in public_names().items() for name in names}


def link_or_code(name, rawtext, text, lineno, inliner, options=None, content=()):
    env = inliner.document.settings.env
    plain = text.removesuffix("()")
    inside = env.ref_context.get("py:module") or "simdrop"
    for target in (plain, f"{inside}.{plain}", f"simdrop.{plain}"):
        if any(".".join(target.split(".")[:n]) in PUBLIC for n in (2, 3, 4)):
            node = pending_xref(
                rawtext,
                refdomain="py",
                reftype="obj",
                reftarget=target,
                refexplicit=True,
                refdoc=env.docname,
                refwarn=True,
            )
            node += nodes.literal(rawtext, text, classes=["xref", "py", "py-obj"])
            return [node], []
    return [nodes.literal(rawtext, text)], []


def setup(app):
    app.add_role("public", link_or_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
