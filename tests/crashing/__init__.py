"""What is left on the disk of a process that ended without warning, at every step of everything it wrote.

:mod:`trace` records what a process does to a folder, :mod:`disk` holds what a kill or a power cut would leave of it, and
:mod:`trials` asks of each such folder what must be true. ``make crash`` runs all of it and prints the counts.
"""
