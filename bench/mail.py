"""The message of the benchmarks: about 9.7 KB of HTML and 1.1 KB of text, 4 merge fields, 10 tracked links."""

from typing import Final

from saas.content.types import EmailContent

LINKS: Final = 10
HTML_BYTES: Final = 9_700
TEXT_BYTES: Final = 1_100
_STYLE: Final = 'style="margin:0 0 16px;font:16px/1.5 Helvetica,Arial,sans-serif;color:#222"'
_PARAGRAPH: Final = (
    "Autumn is the season of long walks and early evenings. This week our shop in {place} shows what we packed for it: "
    "jackets that keep the rain out, socks that keep it warm, and a lamp that finds the way home. "
)
SUBJECT: Final = "Hello {{ contact.first_name }}, autumn has arrived"


def merge_content() -> EmailContent:
    """Return the template of literals and merge fields only: what most newsletters are."""
    blocks = "".join(_block(number, "{{ contact.city }}") for number in range(LINKS))
    return EmailContent(subject=SUBJECT, html=_page(blocks), text=_text("{{ contact.city }}"))


def liquid_content() -> EmailContent:
    """Return the template with a loop and conditions: what a skeleton cannot hold."""
    loop = (
        '{% assign shops = "Oslo,Bergen,Paris,London" | split: "," %}'
        "<ul>{% for shop in shops %}<li>{{ forloop.index }}. {{ shop }}"
        "{% if shop == contact.city %} (yours){% endif %}</li>{% endfor %}</ul>"
        "{% if contact.age > 40 %}<p>For those who know.</p>{% else %}<p>For those who learn.</p>{% endif %}"
    )
    blocks = "".join(_block(number, "{{ contact.city }}") for number in range(LINKS))
    return EmailContent(subject=SUBJECT, html=_page(loop + blocks), text=_text("{{ contact.city }}"))


def reset_content() -> EmailContent:
    """Return the transactional message that triggers send."""
    return EmailContent(
        subject="Your new password",
        html='<p>Hello {{ contact.first_name }},</p><p><a href="{{ context.reset_url }}">Set a new password</a></p>',
        text="Hello {{ contact.first_name }}\n{{ context.reset_url }}\n",
    )


def _page(blocks: str) -> str:
    head = '<html><head><meta charset="utf-8"><title>Autumn</title></head><body style="background:#f4f4f0">'
    hello = f"<p {_STYLE}>Dear {{{{ contact.first_name }}}} {{{{ contact.last_name }}}},</p>"
    foot = (
        f'<p {_STYLE}>You are on plan {{{{ contact.plan }}}}. <a href="{{{{ unsubscribe_url }}}}">Unsubscribe</a></p>'
    )
    end = "</body></html>"
    fixed = head + hello + blocks + foot + end
    filler = "<!-- " + "Northwind Outdoor " * ((HTML_BYTES - len(fixed)) // 18 + 1)
    return head + hello + blocks + filler[: max(0, HTML_BYTES - len(fixed) - 4)] + " -->" + foot + end


def _block(number: int, place: str) -> str:
    url = f"https://shop.northwind.example/autumn/{number}?from=letter"
    return f'<p {_STYLE}>{_PARAGRAPH.format(place=place)}<a href="{url}">See number {number}</a></p>\n'


def _text(place: str) -> str:
    lines = ["Dear {{ contact.first_name }} {{ contact.last_name }},", ""]
    while sum(map(len, lines)) < TEXT_BYTES - 150:
        lines.append(_PARAGRAPH.format(place=place))
    return "\n".join([*lines, "You are on plan {{ contact.plan }}.", "Unsubscribe: {{ unsubscribe_url }}", ""])
