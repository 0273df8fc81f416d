"""A network camera on 127.0.0.1 whose pictures carry their own number, and that can be made to fail."""

from __future__ import annotations

import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

CELL = 16  # pixels: large enough to survive compression
BITS = 16
RATE = 30.0


def numbered(number):
    """uint8 [48, 256, 3]: the number as black and white squares, over red at the left and blue at the right."""
    image = np.zeros((3 * CELL, BITS * CELL, 3), np.uint8)
    bits = (number >> np.arange(BITS)) & 1
    image[:CELL] = np.kron(bits, np.ones((CELL, CELL)))[..., None] * 255
    image[CELL:, : BITS * CELL // 2, 0] = 255
    image[CELL:, BITS * CELL // 2 :, 2] = 255
    return image


def number_in(rgb):
    """The number that :func:`numbered` drew, of a picture or of its left part."""
    bits = rgb[CELL // 2, CELL // 2 :: CELL].mean(axis=1) > 127
    return int(bits @ (1 << np.arange(len(bits))))


class MjpegServer:
    """Counts at 30 Hz and sends each viewer the newest picture; ``fault`` is "", "stall" or "refuse"."""

    def __init__(self):
        self.number = 0
        self.fault = ""
        self.connections = 0
        self.backlog = 0  # old pictures that a new viewer is sent at once
        self._tick = threading.Condition()
        self._epoch = 0  # viewers of an older one are thrown out
        self._open = True
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                camera._serve(self)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = False  # so that server_close() joins them
        self._threads = [
            threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, name="mjpeg http"),
            threading.Thread(target=self._count, name="mjpeg count"),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._http.server_port}/video"

    def stall(self):
        """Keep every connection open and send nothing."""
        self.fault = "stall"

    def drop(self):
        """Close every connection and accept no other."""
        with self._tick:
            self.fault = "refuse"
            self._epoch += 1
            self._tick.notify_all()

    def resume(self):
        self.fault = ""

    def close(self):
        with self._tick:
            self._open = False
            self._tick.notify_all()
        self._http.shutdown()
        self._http.server_close()
        for thread in self._threads:
            thread.join()

    def _count(self):
        due = time.monotonic()
        while self._open:
            with self._tick:
                self.number += 1
                self._tick.notify_all()
            due = max(due + 1 / RATE, time.monotonic())
            time.sleep(max(due - time.monotonic(), 0))

    def _serve(self, request):
        if self.fault == "refuse":
            request.send_error(503)
            return
        self.connections += 1
        epoch, sent = self._epoch, self.number
        request.connection.settimeout(5)  # a viewer that doesn't read can't keep the server from closing
        try:
            request.send_response(200)
            request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            request.end_headers()
            for old in range(max(sent - self.backlog, 0), sent):
                self._send(request, old)
            while True:
                with self._tick:
                    self._tick.wait_for(lambda: self.number > sent or not self._open)
                    sent = self.number
                if not self._open or epoch != self._epoch:
                    return
                if not self.fault:
                    self._send(request, sent)
        except OSError:  # the viewer is gone
            pass

    def _send(self, request, number):
        jpeg = io.BytesIO()
        Image.fromarray(numbered(number)).save(jpeg, "JPEG", quality=90)
        data = jpeg.getvalue()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        request.wfile.write(head + data + b"\r\n")
