"""Reads event files with TensorBoard's own reader: prints the steps and the last value of every tag as JSON.

usage: check_events.py DIR
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1])
events.Reload()
scalars = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
print(json.dumps({tag: {"steps": [e.step for e in rows], "last": rows[-1].value} for tag, rows in scalars.items()}))
