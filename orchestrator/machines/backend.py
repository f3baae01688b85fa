"""Who runs machines: this process itself, or libvirt."""

from __future__ import annotations

from orchestrator.errors import SettingsError
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.machine import Machine


def machine_type(hardware: Hardware) -> type[Machine]:
    """Return the class whose machines run as the hardware's backend says.

    Raises SettingsError when libvirt is asked for and its Python bindings are missing.
    """
    if hardware.backend == "process":
        return Machine
    try:
        # Only here: the bindings need libvirt's libraries, which few hosts have.
        from orchestrator.machines.libvirt_machine import LibvirtMachine
    except ImportError as error:
        raise SettingsError(
            f"libvirt's Python bindings are missing ({error}). Install Debian's libvirt-dev and "
            "pkg-config, then pip install libvirt-python, or use --machine-backend process."
        ) from error
    return LibvirtMachine
