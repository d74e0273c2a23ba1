#!/usr/bin/env python3
"""The echo with asyncio's streams: what lesson 012's server does. `--uvloop` puts it on uvloop.

Ends with status 3 where there is no uvloop. `./learn bench echo` runs it.
"""

import asyncio
import resource
import sys


async def serve(reader, writer):
    try:
        async for line in reader:
            writer.write(b"here is " + line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print(f"listens on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def use_uvloop():
    try:
        import uvloop
    except ImportError:
        sys.exit(3)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


if "--uvloop" in sys.argv:
    use_uvloop()
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
asyncio.run(main())
