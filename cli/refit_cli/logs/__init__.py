"""The logs of one model: functions, state machines and jobs together, in the order of time.

lines.py      one line, and how it is shown
sources.py    where lines come from
tail.py       all sources together, once or again and again
"""
