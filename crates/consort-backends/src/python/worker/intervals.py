"""Functions that are called periodically."""

from .checks import period_of


class Interval:
    """A function, its period and the time of its next call; a period of 0 means cancelled."""

    __slots__ = ("due", "function", "period")

    def __init__(self, function, period, due):
        self.function = function
        self.period = period
        self.due = due


class Intervals:
    """The intervals of a script; all times are in milliseconds of one clock."""

    def __init__(self, lock):
        # Held while the list changes: threads of the script may set intervals.
        self.lock = lock
        self.entries = []
        # The time of the next call; meaningless without entries.
        self.next_due = 0

    def set(self, function, milliseconds, now):
        """Adds, changes or, with 0, cancels the interval of a function."""
        period = period_of(function, milliseconds)
        with self.lock:
            for entry in self.entries:
                if entry.function == function:
                    if not period:
                        self.entries.remove(entry)
                        entry.period = 0
                    elif entry.period != period:
                        entry.period = period
                        entry.due = now + period
                    break
            else:
                if period:
                    self.entries.append(Interval(function, period, now + period))
            self.update_next_due()

    def update_next_due(self):
        self.next_due = min((entry.due for entry in self.entries), default=0)

    def run_due(self, now, call):
        """Calls the functions that are due with `call(function)`, in the order in which they were
        added; several missed calls of a function count as one."""
        for entry in list(self.entries):
            if entry.period and entry.due <= now:
                missed = int((now - entry.due) / entry.period + 1e-6)
                entry.due += entry.period * (missed + 1)
                call(entry.function)
        self.update_next_due()
