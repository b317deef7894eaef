"""What the architecture tests look at: our files, parsed once."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAAS = ROOT / "saas"
PROGRAMS = ("worker.py", "dispatcher.py")
_NOT_OURS = {
    ".venv", ".git", ".data", "node_modules", "dist", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache",
    ".hypothesis", ".import_linter_cache", ".playwright",
}  # fmt: skip


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def modules() -> tuple[Path, ...]:
    """All Python files that run in production."""
    programs = [ROOT / program for program in PROGRAMS if (ROOT / program).exists()]
    return (*sorted(SAAS.rglob("*.py")), *programs)


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def all_files() -> Iterator[Path]:
    """Every file of the repository that people write."""
    folders = [ROOT]
    while folders:
        for path in folders.pop().iterdir():
            if path.name in _NOT_OURS or path.suffix == ".egg-info":
                continue
            if path.is_dir():
                folders.append(path)
            else:
                yield path


def dotted(node: ast.AST) -> str:
    """`a.b.c` for names and attributes of names, else ''."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    """Line, dotted name (its last part at least) and node of every call."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            called = dotted(node.func) or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
            yield node.lineno, called, node


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and value of every string that is not a docstring."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value
