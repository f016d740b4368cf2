"""One module for each address. Each has one function that takes what its handlers need and returns its router.

Handlers of search, suggest, similar and products call the engine on the event loop, on purpose: an answer takes 1 to 3
ms of pure computing, a hop to a thread would add a tenth of that and have threads fight for the interpreter lock.
Throughput comes from worker processes. What may wait (an explanation) runs in threads and never on the loop.
"""
