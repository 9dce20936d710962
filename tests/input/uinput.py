"""Creates input devices through /dev/uinput with the kernel's requests, for tests of `evdev`.

The structures and numbers are those of <linux/uinput.h>; no library is needed, so that the tests
control everything, such as where a device claims to be plugged in.
"""

import fcntl
import os
import struct

EV_SYN, EV_KEY, EV_REL, EV_ABS, EV_LED, EV_FF = 0, 1, 2, 3, 0x11, 0x15
EV_UINPUT, UI_FF_UPLOAD = 0x101, 1

UI_DEV_CREATE = 0x5501
UI_DEV_SETUP = 0x405C5503
UI_ABS_SETUP = 0x401C5504
UI_SET_EVBIT = 0x40045564
BITS = {
    EV_KEY: 0x40045565,
    EV_REL: 0x40045566,
    EV_ABS: 0x40045567,
    EV_LED: 0x40045569,
    EV_FF: 0x4004556B,
}
UI_SET_PHYS = 0x4008556C
UI_BEGIN_FF_UPLOAD = 0xC06855C8
UI_END_FF_UPLOAD = 0x406855C9
UI_GET_SYSNAME = 0x8040552C


class Device:
    """A created device; it disappears when it is closed."""

    def __init__(self, name, codes, axes=None, phys="", vendor_product=(0x1209, 0x0002)):
        """`codes`: {type: [code]}; `axes`: {code: (minimum, maximum)}."""
        self.fd = os.open("/dev/uinput", os.O_RDWR | os.O_NONBLOCK)
        for kind, numbers in codes.items():
            fcntl.ioctl(self.fd, UI_SET_EVBIT, kind)
            for number in numbers:
                fcntl.ioctl(self.fd, BITS[kind], number)
        for code, (minimum, maximum) in (axes or {}).items():
            fcntl.ioctl(
                self.fd, UI_ABS_SETUP, struct.pack("<HxxIiiiii", code, 0, minimum, maximum, 0, 0, 0)
            )
        if phys:
            text = bytearray(phys.encode() + b"\0")
            # The request takes the address of the text, which ctypes has.
            import ctypes

            buffer = (ctypes.c_char * len(text)).from_buffer(text)
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.ioctl(self.fd, ctypes.c_ulong(UI_SET_PHYS), buffer) < 0:
                raise OSError(ctypes.get_errno(), "UI_SET_PHYS")
        effects = 16 if EV_FF in codes else 0
        fcntl.ioctl(
            self.fd,
            UI_DEV_SETUP,
            struct.pack("<HHHH80sI", 3, *vendor_product, 1, name.encode(), effects),
        )
        fcntl.ioctl(self.fd, UI_DEV_CREATE)
        name = bytearray(64)
        fcntl.ioctl(self.fd, UI_GET_SYSNAME, name)
        folder = f"/sys/class/input/{bytes(name).split(bytes(1))[0].decode()}"
        self.node = next(entry for entry in os.listdir(folder) if entry.startswith("event"))

    def report(self, *events):
        """Sends the events `(type, code, value)` and the end of the report."""
        data = b"".join(struct.pack("<qqHHi", 0, 0, *event) for event in [*events, (EV_SYN, 0, 0)])
        os.write(self.fd, data)

    def read(self):
        """The events that programs have sent to the device: (type, code, value). Accepts uploads of
        effects and returns their strengths as (EV_FF, "upload", (strong, weak))."""
        try:
            data = os.read(self.fd, 24 * 64)
        except BlockingIOError:
            return []
        events = []
        for _, _, kind, code, value in struct.iter_unpack("<qqHHi", data):
            if (kind, code) == (EV_UINPUT, UI_FF_UPLOAD):
                upload = bytearray(104)
                struct.pack_into("<I", upload, 0, value & 0xFFFFFFFF)
                fcntl.ioctl(self.fd, UI_BEGIN_FF_UPLOAD, upload)
                # request_id, retval, then `struct ff_effect`, whose union begins after 16 bytes
                events.append((EV_FF, "upload", struct.unpack_from("<HH", upload, 8 + 16)))
                fcntl.ioctl(self.fd, UI_END_FF_UPLOAD, upload)
            else:
                events.append((kind, code, value))
        return events

    def close(self):
        os.close(self.fd)
