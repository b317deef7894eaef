"""Links in a source: which there are, whether they may stand, and how tracked ones lead through the click address.

A link that holds no merge field gets a link_no; one that holds some is left as it is, so that what it carries never
passes our logs (ledger.md). The HTML scan reads tags as browsers do, in linear time; `html.parser` of some Python
versions takes quadratic time on hostile input.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from saas.content.rules import markup
from saas.content.types import EmailContent, Flaw, LinkTable, TrackedEmail

SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})
MAX_URL: Final = 2000
CLICK_VARIABLE: Final = "click_url"
OPEN_VARIABLE: Final = "open_url"
# Fetched when the message is looked at. Not hidden: some programs fetch no images that nobody could see.
OPEN_IMAGE: Final = f'<img src="{{{{ {OPEN_VARIABLE} }}}}" width="1" height="1" alt="" style="border:0">'

_TAG: Final = re.compile(r"""<([A-Za-z][^\s/>]*+)((?:"[^"]*"|'[^']*'|[^"'>]++)*)>""")
_ATTRIBUTE: Final = re.compile(
    # Only at the start of a name, and without going back: else a long tag costs the square of its length.
    rf"""(?<![^\s"'>/={markup.MASK}])([^\s"'>/={markup.MASK}]++)\s*+=\s*+(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""",
)
_LINK_TAGS: Final = frozenset({"a", "area"})
_RAW_TEXT: Final = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})
_BODY_END: Final = re.compile(r"</body\b|<!--", re.IGNORECASE)
_TEXT_URL: Final = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}  # unlike lower(), keeps the length
_IGNORED_BY_BROWSERS: Final = str.maketrans("", "", "\t\n\r")
_LEADING: Final = "".join(map(chr, range(33)))
_RENDERED_HREF: Final = re.compile(r"""href\s*=\s*(?:"([^"]*)|'([^']*)|([^\s"'>]+))""", re.IGNORECASE)
_PLAINLY_ALLOWED: Final = ("https://", "http://", "mailto:", "tel:", "#")


@dataclass(frozen=True, slots=True)
class Link:
    """One address in a source; `start` and `end` enclose what is to be replaced (an unquoted value gets quotes)."""

    url: str
    start: int
    end: int
    quoted: bool = True

    @property
    def dynamic(self) -> bool:
        """Whether a merge field or tag stands in the address."""
        return markup.MASK in self.url

    @property
    def tracked(self) -> bool:
        """Whether the address gets a link_no."""
        return not self.dynamic and self.url.lower().startswith(("http://", "https://"))


def in_html(source: str) -> Iterator[Link]:
    """Yield the links of `<a>` and `<area>`, in order. Not those in comments, scripts and Liquid's raw blocks."""
    masked = markup.mask(source)
    for tag in _tags(masked):
        if tag[1].lower() not in _LINK_TAGS:
            continue
        for attribute in _ATTRIBUTE.finditer(masked, tag.start(2), tag.end(2)):
            if attribute[1].lower() == "href":
                group = attribute.lastindex or 2
                url = html.unescape(attribute[group]).translate(_IGNORED_BY_BROWSERS).strip(_LEADING)
                yield Link(url, attribute.start(group), attribute.end(group), quoted=group != 4)


def in_text(source: str) -> Iterator[Link]:
    """Yield the http and https addresses of a text, without the punctuation after them."""
    for found in _TEXT_URL.finditer(markup.mask(source)):
        if len(found[0]) > MAX_URL:
            continue
        url = _without_punctuation(found[0])
        yield Link(url, found.start(), found.start() + len(url))


def flaws(source: str) -> tuple[Flaw, ...]:
    """Return what is wrong with the links of an HTML source."""
    found = ((link, _why_not(link)) for link in in_html(source))
    return tuple(_flaw_at(source, link.start, why) for link, why in found if why)


def track(content: EmailContent) -> TrackedEmail:
    """Number the links and lead them through `{{ click_url }}/<link_no>`; put the image that tells of opens in.

    The order is that of first appearance, HTML before text; one address has one number.
    """
    numbers: dict[str, int] = {}
    rewritten = EmailContent(
        subject=content.subject,
        html=_with_open_image(_rewrite(content.html, in_html(content.html), numbers)),
        text=_rewrite(content.text, in_text(content.text), numbers),
        preheader=content.preheader,
    )
    return TrackedEmail(rewritten, LinkTable(tuple(numbers)))


def forbidden_href(rendered: str) -> bool:
    """Return whether rendered HTML holds a link of a scheme that is not allowed, wherever its address came from."""
    return any(_forbidden(match[match.lastindex or 0]) for match in _RENDERED_HREF.finditer(rendered))


def _forbidden(href: str) -> bool:
    if href.startswith(_PLAINLY_ALLOWED):
        return False
    scheme = _SCHEME.match(html.unescape(href).translate(_IGNORED_BY_BROWSERS).strip(_LEADING))
    return scheme is not None and scheme[1].lower() not in SCHEMES


def _tags(masked: str) -> Iterator[re.Match[str]]:
    lowered = masked.translate(_ASCII_LOWER)
    at = 0
    while at >= 0 and (start := masked.find("<", at)) >= 0:
        if masked.startswith("<!--", start):
            at = _after(masked, "-->", start + 4)
        elif tag := _TAG.match(masked, start):
            yield tag
            name = tag[1].lower()
            at = _after(lowered, f"</{name}", tag.end()) if name in _RAW_TEXT else tag.end()
        elif masked[start + 1 : start + 2].isalpha():
            return  # a tag that never ends swallows the rest
        else:
            at = start + 1


def _after(text: str, needle: str, at: int) -> int:
    found = text.find(needle, at)
    return found + len(needle) if found >= 0 else -1


def _rewrite(source: str, links: Iterable[Link], numbers: dict[str, int]) -> str:
    out, at = [], 0
    for link in links:
        if not link.tracked:
            continue
        number = numbers.setdefault(link.url, len(numbers))
        hole = f"{{{{ {CLICK_VARIABLE} }}}}/{number}"
        out += [source[at : link.start], hole if link.quoted else f'"{hole}"']
        at = link.end
    return "".join([*out, source[at:]])


def _with_open_image(source: str) -> str:
    """Return the HTML with the image before the end of the body, or at its own end."""
    at = _end_of_body(markup.mask(source))
    return source[:at] + OPEN_IMAGE + source[at:]


def _end_of_body(masked: str) -> int:
    at, found = 0, len(masked)
    while at >= 0 and (step := _BODY_END.search(masked, at)):
        if step[0] == "<!--":
            at = _after(masked, "-->", step.end())
        else:
            at, found = step.end(), step.start()
    return found


def _without_punctuation(url: str) -> str:
    while url:
        last = url[-1]
        unpaired = (last == ")" and url.count("(") < url.count(")")) or (
            last == "]" and url.count("[") < url.count("]")
        )
        if last not in ".,;:!?'*_" and not unpaired:
            break
        url = url[:-1]
    return url


def _why_not(link: Link) -> str:
    if link.dynamic and not link.quoted:
        return "A link that holds a merge field needs quotes around its address."
    fixed = link.url.partition(markup.MASK)[0]
    if not fixed or fixed.startswith("#"):
        return "" if link.url else "A link has no address."
    scheme = _SCHEME.match(fixed)
    if not scheme:
        return "A link must begin with https://, http://, mailto: or tel:."
    if scheme[1].lower() not in SCHEMES:
        return f"A link may not begin with {scheme[1][:20]}: (allowed are https, http, mailto and tel)."
    return "" if link.dynamic or not link.tracked else _why_not_static(link.url)


def _why_not_static(url: str) -> str:
    if len(url) > MAX_URL:
        return f"A link is longer than {MAX_URL} characters."
    if _UNSAFE.search(url):
        return "A link holds a space or a control character."
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return "" if host else "A link names no host."


def _flaw_at(source: str, index: int, message: str) -> Flaw:
    return Flaw(source.count("\n", 0, index) + 1, index - source.rfind("\n", 0, index), message)
