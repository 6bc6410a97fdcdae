"""The report of a run or a chain: one HTML file drawn from what was logged.

``runs`` and ``tables`` read folders, ``numbers`` computes what is drawn,
``panels`` says which values of the log belong together, ``figures`` draws in
the ``style`` of all, ``page`` is the HTML; ``overview``, ``stage`` and
``trials`` are the chapters that ``write`` puts together.
"""
