"""One HTML file about runs and chains, drawn from what they wrote down.

Nothing here computes what a log could hold. ``runs`` and ``tables`` read
folders, ``numbers`` computes what is drawn, ``panels`` says which values of
the log belong together and ``shown`` which of them a log has; ``figures``,
``cluster_figures`` and ``trial_figures`` draw in the ``style`` of all, ``page``
is the HTML; ``overview``, ``stage`` and ``trials`` are the chapters that
``write`` puts together.
"""
