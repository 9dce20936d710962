"""The worker of a Python instance: the module `midimonster`, and the loop that runs the handlers.

| module | content |
|---|---|
| `protocol` | frames on the pipes; `protocol.rs` describes them |
| `checks` | which arguments the functions of `midimonster` accept |
| `intervals` | functions that are called periodically |
| `sockets` | sockets, pipes and files whose handlers are called when they are readable |
| `script` | channels and their values: what the functions of `midimonster` do |
| `loader` | importing modules, finding handlers in them |
| `link` | the pipes to the instance, and what is on its way there |
| `faults` | exceptions of the script: descriptions, and reports to the instance |
| `functions` | the module `midimonster` of a worker, with the fast path of `output` |
| `loop` | the process: calls handlers, starts and ends |

`boot.py` loads these modules from memory. `python/midimonster` ships the same files: its harness
uses the first six, with a clock and a transport of its own. Imports are restricted to
modules that are small or already loaded, because every instance pays for their time and memory.
"""
