"""HTML of the report: everything that is shown is escaped here.

The page carries all it needs: no script, no font, no address of the network.
"""

import html

CSS = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1b1f24;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .4em 0; }
h2 { font-size: 1.3rem; margin: 2em 0 .5em; padding-bottom: .2em;
  border-bottom: 2px solid #d5d9df; }
h3 { font-size: 1.08rem; margin: 1.5em 0 .4em; }
h1, h2, h3, p, li, a, summary { overflow-wrap: anywhere; }
p { margin: .5em 0; max-width: 75ch; }
p.missing { color: #57606a; font-style: italic; }
nav { display: flex; flex-wrap: wrap; gap: .2em 1.2em; margin: .6em 0; }
nav a { min-width: 0; }
a { color: #0b5394; }
.warnings { border-left: 5px solid #b45309; background: #fff7ed;
  padding: .3em 1em; }
.figures { display: grid; gap: 20px 24px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
figure { margin: 0; min-width: 0; }
figure img { display: block; width: 100%; max-width: 460px; height: auto; }
figcaption { font-size: .88rem; color: #3d444d; max-width: 460px;
  margin-bottom: .3em; }
figcaption b { display: block; color: #1b1f24; font-size: .96rem; }
.scroll { overflow-x: auto; margin: .6em 0; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .3em .7em; text-align: left; vertical-align: top;
  border-bottom: 1px solid #e3e6ea; }
th, td { white-space: nowrap; }
th { border-bottom: 2px solid #b6bdc6; }
td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; }
td.ids { font-family: ui-monospace, Menlo, Consolas, monospace;
  font-size: .82rem; min-width: 14em; white-space: normal; }
td.ids span { display: inline-block; margin-right: 1.5em;
  overflow-wrap: anywhere; }
.facts td { white-space: normal; overflow-wrap: anywhere; }
tr.paper { color: #57606a; font-style: italic; }
details { margin: .5em 0; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; background: #f6f8fa; padding: 12px;
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
    ('1,152', '9.028', '6.1 to 7.25', '', 'a')
    """
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return " to ".join(shown(item) for item in value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
