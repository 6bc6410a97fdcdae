"""HTML of the report: everything that is shown is escaped here.

The page carries all it needs: no script, no font, no address of the network.
"""

import html

CSS = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1f24;
  --quiet: #57606a; --line: #d5d9df; --thin: #e3e6ea; --link: #0b5394;
  --box: #f6f8fa; --warn: #fff7ed; --warned: #b45309; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b;
  --text: #e4e7eb; --quiet: #a3abb5; --line: #444b55; --thin: #2c323a;
  --link: #7ab7f0; --box: #1f242b; --warn: #33240f; --warned: #d98b2b; }
  figure img { filter: invert(1) hue-rotate(180deg) brightness(1.1); } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .4em 0; }
h2 { font-size: 1.3rem; margin: 2em 0 .5em; padding-bottom: .2em;
  border-bottom: 2px solid var(--line); }
h3 { font-size: 1.08rem; margin: 1.5em 0 .4em; }
h4 { font-size: 1rem; margin: 1em 0 .3em; }
h1, h2, h3, h4, p, li, a, summary { overflow-wrap: anywhere; }
p, ul { margin: .5em 0; max-width: 75ch; }
p.missing { color: var(--quiet); font-style: italic; }
p.verdict { font-size: 1.06rem; }
nav { display: flex; flex-wrap: wrap; gap: .2em 1.2em; margin: .6em 0; }
nav a { min-width: 0; }
a { color: var(--link); }
.warnings { border-left: 5px solid var(--warned); background: var(--warn);
  padding: .3em 1em; }
.figures { display: grid; gap: 20px 24px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
figure { margin: 0; min-width: 0; }
figure img { display: block; width: 100%; max-width: 460px; height: auto; }
figcaption { font-size: .88rem; color: var(--quiet); max-width: 460px;
  margin-bottom: .3em; }
figcaption b { display: block; color: var(--text); font-size: .96rem; }
.cards { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); }
.card { border: 1px solid var(--line); border-radius: 6px;
  padding: .5em .7em; min-width: 0; }
.card audio { display: block; width: 100%; height: 36px; margin: .1em 0 .5em; }
.id { font: .8rem ui-monospace, Menlo, Consolas, monospace; display: block;
  color: var(--quiet); overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .6em 0; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .3em .7em; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--thin); }
th, td { white-space: nowrap; }
th { border-bottom: 2px solid var(--line); }
td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; }
td.ids { font-family: ui-monospace, Menlo, Consolas, monospace;
  font-size: .82rem; min-width: 14em; white-space: normal; }
td.ids span { display: inline-block; margin-right: 1.5em;
  overflow-wrap: anywhere; }
.facts td { white-space: normal; overflow-wrap: anywhere; }
tr.paper { color: var(--quiet); font-style: italic; }
details { margin: .5em 0; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; background: var(--box); padding: 12px;
  font-size: .8rem; line-height: 1.4; }
"""


class Html(str):
    """Text that is HTML already; any other string is escaped."""


def escaped(value):
    """A value as HTML.

    Example
    -------
    >>> escaped("a < b"), escaped(Html("<b>bold</b>"))
    ('a &lt; b', '<b>bold</b>')
    """
    if isinstance(value, Html):
        return value
    return Html(html.escape(str(value)))


def joined(*parts):
    """HTML of several parts, one after the other."""
    return Html("\n".join(escaped(part) for part in parts))


def tag(name, *content, **attributes):
    """An element; ``class_`` stands for the attribute ``class``.

    Example
    -------
    >>> tag("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    given = "".join(
        f' {key.rstrip("_")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
    )
    inside = "".join(escaped(part) for part in content)
    return Html(f"<{name}{given}>{inside}</{name}>")


def missing(sentence):
    """Says why something is not shown."""
    return tag("p", sentence, class_="missing")


def shown(value):
    """A number as a table shows it.

    Example
    -------
    >>> shown(1152), shown(9.02777), shown([6.1, 7.25]), shown(None), shown("a")
    ('1,152', '9.03', '6.1 to 7.25', '', 'a')
    >>> shown(1234.5)
    '1,234'
    """
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return " to ".join(shown(item) for item in value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
    return str(value)


def table(columns, rows, classes=None):
    """A table in a box of its own that scrolls where it is too wide.

    Arguments
    ---------
    columns : list of str
    rows : list of list
        Numbers, strings, ``Html`` or None, one for each column.
    classes : list of str, optional
        Class of each row, "" for none.

    Returns
    -------
    Html
    """
    numeric = [
        all(isinstance(row[i], (int, float, list, type(None))) for row in rows)
        for i in range(len(columns))
    ]
    head = tag(
        "tr",
        *(
            tag("th", name, **({"class_": "number"} if number else {}))
            for name, number in zip(columns, numeric, strict=True)
        ),
    )
    body = []
    for row, row_class in zip(rows, classes or [""] * len(rows), strict=True):
        cells = (
            value
            if isinstance(value, Html)
            else tag(
                "td", shown(value), **({"class_": "number"} if number else {})
            )
            for value, number in zip(row, numeric, strict=True)
        )
        given = {"class_": row_class} if row_class else {}
        body.append(tag("tr", *cells, **given))
    return tag(
        "div",
        tag("table", tag("thead", head), tag("tbody", *body)),
        class_="scroll",
    )


def figure(title, note, uri):
    """A picture with its caption above it."""
    caption = tag("figcaption", tag("b", title), note)
    return tag(
        "figure",
        caption,
        Html(f'<img alt="{html.escape(title)}" src="{html.escape(uri)}">'),
    )


def gallery(figures):
    """Figures side by side, as many as there is room for."""
    return tag("div", *figures, class_="figures")


def details(summary, *content):
    """What is folded away until it is asked for."""
    return tag("details", tag("summary", summary), *content)


def section(title, anchor, *content):
    """A chapter that the contents can lead to."""
    return tag("section", tag("h2", title, id=anchor), *content)


def contents(entries, name=""):
    """Links to chapters, (title, anchor) each, of the run of a name."""
    links = (tag("a", title, href=f"#{anchor}") for title, anchor in entries)
    return tag("nav", *([tag("b", name)] if name else []), *links)


MADE_BY = '<meta name="generator" content="ssrl_brain">'


def page(title, *content):
    """The whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f"{MADE_BY}\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{CSS}</style></head>\n"
        f"<body><main>\n{joined(*content)}\n</main></body></html>\n"
    )
