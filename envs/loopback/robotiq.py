"""A simulated Robotiq 2F-85 that speaks Modbus RTU over a pseudo-terminal, as in its manual."""

from __future__ import annotations

import os
import select
import struct
import threading
import time
import tty
from pathlib import Path

DEVICE = 9
COMMANDS, STATUS = 1000, 2000  # first registers
OPEN, CLOSED = 3, 230
SPEED = 600.0  # raw positions per second
ACTIVATION = 0.1  # s
OBJECT_MET, ARRIVED = 2, 3  # gOBJ


def crc(message: bytes) -> bytes:
    """The Modbus checksum of a message."""
    value = 0xFFFF
    for byte in message:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


class LoopbackRobotiq:
    """A gripper for the real client. Its fingers move at a constant speed, and stop at :attr:`object_at`.

    Attributes:
        link: path of the serial device.
        object_at: raw position at which an object stops closing fingers, or None.
        fault: fault number that it reports (gFLT), 0 for none.
        silent: whether it answers no message.
        activations: number of activations.
        detected: object status that it reported last (gOBJ).
        targets: raw positions that it was commanded to.
    """

    def __init__(self, link: Path):
        """
        Args:
            link: path at which the serial device is created; must not exist.
        """
        self.link = link
        self.object_at: int | None = None
        self.fault = 0
        self.silent = False
        self.activations = 0
        self.detected = 0
        self.targets: list[int] = []
        self._registers = [0, 0, 0]
        self._position, self._moved_at = float(OPEN), time.monotonic()
        self._active_at: float | None = None
        self._stop, self._woken = os.pipe()
        self.plug_in()

    def plug_in(self) -> None:
        """Create the device, and answer on it."""
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(slave))
        self._slave = slave  # kept open, or the master reads EIO until a client opens the device
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Remove the device."""
        os.write(self._woken, b"x")
        self._thread.join(5)
        os.close(self._master)
        os.close(self._slave)
        self.link.unlink()

    def block(self, closedness: float | None) -> None:
        """See :meth:`.LoopbackGripper.block`."""
        self.object_at = None if closedness is None else round(closedness * CLOSED)

    def lose_power(self) -> None:
        """Lose the activation, as after a loss of power."""
        self._registers, self._active_at = [0, 0, 0], None

    def close(self) -> None:
        """Remove the device and end."""
        if self.link.is_symlink():
            self.unplug()
        os.close(self._stop)
        os.close(self._woken)

    def _serve(self) -> None:
        buffer = b""
        while True:
            ready, _, _ = select.select([self._master, self._stop], [], [])
            if self._stop in ready:
                os.read(self._stop, 1)
                return
            buffer += os.read(self._master, 256)
            while len(buffer) >= (size := _size(buffer)):
                request, buffer = buffer[:size], buffer[size:]
                if request[0] == DEVICE and request[-2:] == crc(request[:-2]) and not self.silent:
                    reply = bytes([DEVICE, request[1]]) + self._answer(request[1], request[2:-2])
                    os.write(self._master, reply + crc(reply))

    def _answer(self, function: int, body: bytes) -> bytes:
        if function == 4:
            return self._read(*struct.unpack(">HH", body))
        if function == 16:
            self._write(struct.unpack(">H", body[:2])[0], body[5:])
            return body[:4]
        # 23: write, then read
        self._write(struct.unpack(">H", body[4:6])[0], body[9:])
        return self._read(*struct.unpack(">HH", body[:4]))

    def _write(self, first: int, values: bytes) -> None:
        self._advance()
        was_active = self._registers[0] & 0x100
        for i in range(len(values) // 2):
            self._registers[first - COMMANDS + i] = struct.unpack_from(">H", values, 2 * i)[0]
        if not self._registers[0] & 0x100:
            self._active_at = None
        elif not was_active:
            self.activations += 1
            self.fault = 0
            self._active_at = time.monotonic() + ACTIVATION
        if self._registers[0] & 0x800 and first <= COMMANDS + 1 < first + len(values) // 2:
            self.targets.append(self._registers[1])

    def _read(self, first: int, count: int) -> bytes:
        self.detected = self._advance()
        command = self._registers[0]
        activated = self._active_at is not None and time.monotonic() >= self._active_at
        sta = 3 if activated else 1 if self._active_at is not None else 0
        status = self.detected << 6 | sta << 4 | bool(command & 0x800) << 3 | bool(command & 0x100)
        echo = self._registers[1] & 0xFF
        registers = [status << 8, self.fault << 8 | echo, round(self._position) << 8]
        values = registers[first - STATUS : first - STATUS + count]
        return bytes([2 * count]) + struct.pack(f">{count}H", *values)

    def _advance(self) -> int:
        """Move the fingers to the present time; returns gOBJ."""
        now = time.monotonic()
        step, self._moved_at = SPEED * (now - self._moved_at), now
        if self._active_at is None or now < self._active_at or not self._registers[0] & 0x800 or self.fault:
            return 0
        target = min(max(self._registers[1], OPEN), CLOSED)
        before, self._position = self._position, _toward(self._position, target, step)
        if self.object_at is not None and before <= self.object_at < target:
            self._position = min(self._position, self.object_at)
            if self._position == self.object_at:
                return OBJECT_MET
        return ARRIVED if self._position == target else 0


def _toward(position: float, target: float, step: float) -> float:
    return min(position + step, target) if target > position else max(position - step, target)


def _size(buffer: bytes) -> int:
    """Bytes of the request at the start of the buffer, with its CRC; more than the buffer has if not known yet."""
    if len(buffer) < 2:
        return 8
    if buffer[1] == 4:
        return 8
    head = 7 if buffer[1] == 16 else 11
    return head + buffer[head - 1] + 2 if len(buffer) >= head else head + 1
