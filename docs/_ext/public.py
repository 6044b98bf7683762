"""The public names of simdrop, read from its source."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src/simdrop"


def public_names(package: Path = PACKAGE) -> dict[str, list[str]]:
    """`__all__` of each public module, read from the source, so that no framework is needed."""
    found: dict[str, list[str]] = {}
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = ("simdrop", *path.relative_to(package).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if "cli" in parts or any(part.startswith("_") for part in parts):
            continue
        modules[".".join(parts)] = path
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
                found[".".join(parts)] = ast.literal_eval(statement.value)
    # Left out: modules whose names their package has, too, and modules among the names.
    parents = {module: set(found.get(module.rpartition(".")[0], ())) for module in found}
    found = {
        module: [name for name in names if f"{module}.{name}" not in modules]
        for module, names in found.items()
        if not parents[module] or not set(names) <= parents[module]
    }
    for module in ("simdrop.schedule", "simdrop.theory"):  # they have no `__all__`
        found.setdefault(module, documented(modules[module]))
    return found


def documented(path: Path) -> list[str]:
    """The functions and classes of a module whose docstring has an example."""
    return [
        statement.name
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.FunctionDef | ast.ClassDef)
        and "Examples\n" in (ast.get_docstring(statement) or "")
    ]
