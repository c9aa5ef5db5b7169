"""The calls of Windows behind `engine.energy.emi`: which devices there are, what one answers. It knows no energy."""

from __future__ import annotations

import ctypes
import os
from ctypes import wintypes
from typing import Any

_GENERIC_READ, _SHARE_ALL, _OPEN_EXISTING = 0x80000000, 0x3, 3
_INVALID_HANDLE = ctypes.c_void_p(-1).value
_SUCCESS = 0


class _Guid(ctypes.Structure):
    _fields_ = (
        ("data1", ctypes.c_uint32),
        ("data2", ctypes.c_uint16),
        ("data3", ctypes.c_uint16),
        ("data4", ctypes.c_uint8 * 8),
    )


# GUID_DEVICE_ENERGY_METER of emi.h
_ENERGY_METER = _Guid(0x45BD8344, 0x7ED6, 0x49CF, (ctypes.c_uint8 * 8)(0xA4, 0x40, 0xC2, 0x76, 0xC9, 0x33, 0xB0, 0x53))


class Windows:
    """See `engine.energy.emi.DeviceControl`."""

    def __init__(self, cfgmgr32: Any, kernel32: Any) -> None:  # noqa: ANN401 - libraries, or what stands for them
        """Takes the two libraries; `load` opens Windows' own."""
        self._cfgmgr32, self._kernel32 = cfgmgr32, kernel32

    @classmethod
    def load(cls) -> Windows:
        """Opens the libraries.

        Raises:
            OSError: This is no Windows.
        """
        load = getattr(ctypes, "WinDLL", None)
        if load is None:
            raise OSError(0, "this is no Windows")
        cfgmgr32, kernel32 = load("cfgmgr32", use_last_error=True), load("kernel32", use_last_error=True)
        text, number, pointer = wintypes.LPCWSTR, wintypes.DWORD, ctypes.c_void_p
        cfgmgr32.CM_Get_Device_Interface_List_SizeW.argtypes = (pointer, pointer, text, number)
        cfgmgr32.CM_Get_Device_Interface_ListW.argtypes = (pointer, text, pointer, number, number)
        kernel32.CreateFileW.argtypes = (text, number, number, pointer, number, number, pointer)
        kernel32.CreateFileW.restype = pointer
        kernel32.DeviceIoControl.argtypes = (pointer, number, pointer, number, pointer, number, pointer, pointer)
        kernel32.CloseHandle.argtypes = (pointer,)
        return cls(cfgmgr32, kernel32)

    def paths(self) -> list[str]:
        """The devices that have an energy meter."""
        n_chars, guid = wintypes.DWORD(0), ctypes.byref(_ENERGY_METER)
        self._configured(self._cfgmgr32.CM_Get_Device_Interface_List_SizeW(ctypes.byref(n_chars), guid, None, 0))
        # UTF-16 by hand: a wide character is of four bytes elsewhere.
        names = ctypes.create_string_buffer(2 * max(1, n_chars.value))
        self._configured(self._cfgmgr32.CM_Get_Device_Interface_ListW(guid, None, names, n_chars.value, 0))
        return [name for name in names.raw.decode("utf-16-le").split("\0") if name]

    def open(self, path: str) -> int:
        """A handle to a device."""
        handle = self._kernel32.CreateFileW(path, _GENERIC_READ, _SHARE_ALL, None, _OPEN_EXISTING, 0, None)
        if handle is None or handle == _INVALID_HANDLE:
            raise self._last_error()
        return int(handle)

    def control(self, handle: int, code: int, n_bytes: int) -> bytes:
        """The answer of a device to a control code."""
        answer, n_answered = ctypes.create_string_buffer(n_bytes), wintypes.DWORD(0)
        done = self._kernel32.DeviceIoControl(handle, code, None, 0, answer, n_bytes, ctypes.byref(n_answered), None)
        if not done:
            raise self._last_error()
        return answer.raw[: n_answered.value]

    def close(self, handle: int) -> None:
        """Gives a handle back."""
        self._kernel32.CloseHandle(handle)

    @staticmethod
    def _configured(result: int) -> None:
        if result != _SUCCESS:
            raise OSError(result, f"Windows' configuration manager says {result}")

    @staticmethod
    def _last_error() -> OSError:
        code = getattr(ctypes, "get_last_error", int)()
        told = getattr(ctypes, "FormatError", os.strerror)(code)
        return OSError(code, told.strip().rstrip("."))
