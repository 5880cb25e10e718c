"""An upstream of which a share of the answers fail, or all come late; changeable while it runs."""

from __future__ import annotations

import asyncio
import threading


class Moody:
    """Answers 200 with its name; every ``1/fails``-th request with 500; all after ``wait_s``; ``hangs`` at all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fails = 0.0
        self.wait_s = 0.005
        self.hangs = False
        self.asked = 0
        self._due = 0.0
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._talk, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readline():
                while (await reader.readline()).strip():
                    pass
                self.asked += 1
                self._due += self.fails
                bad = self._due >= 1.0
                self._due -= bad
                await asyncio.sleep(3600 if self.hangs else self.wait_s)
                status = b"500 Bad" if bad else b"200 OK"
                body = self.name.encode()
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
