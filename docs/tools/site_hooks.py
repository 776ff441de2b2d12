"""Hooks of mkdocs: README and CHANGELOG become pages, and links that leave ``docs/`` are kept.

A link in a page leads to a file of the repository, as it does where the repository is browsed. On
the site the same files lie elsewhere: README is the home page, and every other file that is linked
to is copied below ``repository/``. A link to a file that does not exist fails the strict build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside ``docs/``, and the files that pages link to."""
    for source, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / source)))
    for file in list(files.documentation_pages()):
        for target in _targets(file.src_uri, file.content_string):
            uri = _on_site(target)
            if files.get_file_from_path(uri) is None:
                if not (ROOT / target).is_file():
                    raise PluginError(f"{file.src_uri} links to {target}, which is no file")
                files.append(File.generated(config, uri, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page to the places of their files on the site."""
    uri = page.file.src_uri
    folder = posixpath.dirname(uri)

    def moved(link: re.Match[str]) -> str:
        return posixpath.relpath(_on_site(_in_repository(uri, link[1])), folder or ".")

    parts = CODE.split(markdown)
    return "".join(part if n % 2 else LINK.sub(moved, part) for n, part in enumerate(parts))


def _targets(uri: str, markdown: str) -> set[str]:
    """The files of the repository that a page links to."""
    text = CODE.sub("", markdown)
    return {_in_repository(uri, link) for link in LINK.findall(text)}


def _in_repository(uri: str, link: str) -> str:
    """The path in the repository to which a link of a page leads."""
    source = next((name for name, page in PAGES.items() if page == uri), f"docs/{uri}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _on_site(target: str) -> str:
    """Where a file of the repository lies among the sources of the site."""
    if target in PAGES:
        return PAGES[target]
    return target.removeprefix("docs/") if target.startswith("docs/") else f"repository/{target}"
