"""How much memory a script has taken, to be told by the script itself."""

from __future__ import annotations

PEAK_BYTES = '''
def peak_bytes():
    """The most resident memory of this process, whatever the one that started it had: ru_maxrss begins with that."""
    import resource
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
'''
"""Source of `peak_bytes`, for the beginning of a script."""
