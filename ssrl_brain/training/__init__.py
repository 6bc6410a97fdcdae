"""What a run needs around its steps: schedules, checkpoints, logs, health.

Nothing here knows a method.
"""
