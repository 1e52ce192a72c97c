"""The layout's rules, read off the syntax trees."""

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("flows", "tasks", "deployments")
FILES = [path.relative_to(ROOT) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
FLOWS = [path for path in FILES if path.parts[0] == "flows" and path.stem != "__init__"]


def imports(path: Path, *, at_import_time: bool = False) -> Iterator[str]:
    """The modules that a file imports, by full name."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls_at_import(tree: ast.Module) -> Iterator[ast.Call]:
    """The calls that run when a module is imported: outside functions, decorators' own calls included."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("path", FLOWS, ids=str)
def test_a_flow_imports_prefect_tasks_and_pandas_only(path: Path) -> None:
    allowed = {"prefect", "pandas", "tasks"}
    for name in imports(path):
        top, *rest = name.split(".")
        assert top in allowed | set(sys.stdlib_module_names), f"{path} imports {name}"
        assert top != "tasks" or rest[:1] not in (["kombo"], ["lake"]), f"{path} imports {name}, below tasks/*.py"


@pytest.mark.parametrize("path", FLOWS, ids=str)
def test_a_flow_file_holds_the_flow_of_its_name(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text())
    assert path.stem in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("half", ["kombo", "lake"])
def test_the_plain_halves_import_neither_prefect_nor_each_other(half: str) -> None:
    other = {"kombo": "tasks.lake", "lake": "tasks.kombo"}[half]
    foreign = {"kombo": {"pyarrow", "fsspec", "s3fs", "duckdb", "pandas"}, "lake": {"httpx"}}[half] | {"prefect"}
    for path in (p for p in FILES if p.parts[:2] == ("tasks", half)):
        for name in imports(path):
            assert name.split(".")[0] not in foreign, f"{path} imports {name}"
            assert not name.startswith(other), f"{path} imports {name}"
            assert not name.startswith("tasks.") or name.startswith(f"tasks.{half}"), f"{path} imports {name}"


def test_http_and_object_storage_have_one_place_each() -> None:
    places = {
        "httpx": ("tasks", "kombo"),
        "pyarrow": ("tasks", "lake"),
        "fsspec": ("tasks", "lake"),
        "s3fs": ("tasks", "lake"),
    }
    for path in (p for p in FILES if p.parts[0] != "deployments"):
        for name in imports(path):
            place = places.get(name.split(".")[0])
            assert place is None or path.parts[:2] == place, f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_nothing_is_loaded_or_opened_at_import_time(path: Path) -> None:
    for call in calls_at_import(ast.parse((ROOT / path).read_text())):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        assert name not in {
            "load",
            "Client",
            "get_client",
            "from_env",
            "open_store",
            "resolve_credentials",
            "connect",
        }, f"{path}:{call.lineno} calls {name} when it is imported"


@pytest.mark.parametrize("path", FLOWS, ids=str)
def test_a_flow_file_does_not_hide_a_module(path: Path) -> None:
    # Prefect puts `flows/` first on the path, where its files hide modules of the same name.
    installed = set(importlib.metadata.packages_distributions()) | set(sys.stdlib_module_names) | set(PACKAGES)
    assert path.stem not in installed


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_module_is_a_drawer(path: Path) -> None:
    assert not {"utils", "helpers", "common", "base", "manager"} & {path.stem, *path.parts}


def test_the_top_level_is_the_fixed_one() -> None:
    fixed = {"pyproject.toml", "prefect.yaml", "README.md", "Makefile", "LICENSE", "CHANGELOG.md"}
    folders = {"flows", "tasks", "deployments", "tests"}
    made = {"lake", "kombo_flows.egg-info", "build", "dist"}  # by commands, and not committed
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - made == fixed | folders


def test_every_test_folder_is_a_package() -> None:
    # Otherwise `tests/tasks` would be the module `tasks`.
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)
