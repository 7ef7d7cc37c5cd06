"""Capture what an NVIDIA GPU answers, bit for bit, and compare it with the simulator: ``python -m halfsim.capture``."""

from halfsim.capture.checker import Agreement as Agreement
from halfsim.capture.checker import Disagreement as Disagreement
from halfsim.capture.checker import check as check
from halfsim.capture.checker import compare as compare
from halfsim.capture.checker import report as report
from halfsim.capture.device import Device as Device
from halfsim.capture.device import DeviceError as DeviceError
from halfsim.capture.device import Facts as Facts
from halfsim.capture.device import LostError as LostError
from halfsim.capture.device import UnsupportedError as UnsupportedError
from halfsim.capture.program import capture as capture
from halfsim.capture.program import open_device as open_device
from halfsim.capture.reader import Capture as Capture
from halfsim.capture.reader import Damage as Damage
from halfsim.capture.reader import Record as Record
from halfsim.capture.reader import read as read
